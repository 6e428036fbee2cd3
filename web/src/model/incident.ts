/** Incidents: their order, their filter in the address, and their words. */

import type { Incident, IncidentQuestion } from '../api/alerts';
import type { Agent } from '../api/client';
import { formatAge } from './format';
import { sayInAll, type Returned } from './returned';
import { formatDuration } from './time';

export const SEVERITIES = ['critical', 'warning', 'info'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const SEVERITY_WORDS: Record<Severity, string> = {
  critical: 'Critical',
  warning: 'Warning',
  info: 'Info',
};

/** A word of a newer aggregator is shown, as the least loud one. */
export function severityOf(text: string): Severity {
  return SEVERITIES.find((severity) => severity === text) ?? 'info';
}

const CLASS_WORDS: Readonly<Record<string, string>> = {
  host_down: 'Host down',
  host_unreachable: 'Host unreachable',
  host_degraded: 'Host degraded',
  isolated: 'Isolated observer',
  observer_degraded: 'Observer degraded',
  silent: 'Agent silent',
  pair_down: 'Pair down',
  pair_degraded: 'Pair degraded',
  site_cut: 'Site cut off',
  site_degraded: 'Site degraded',
  site_pair_cut: 'Two sites cut from each other',
  site_pair_degraded: 'Two sites degraded',
  mesh_down: 'Mesh down',
  mesh_degraded: 'Mesh degraded',
  aggregator_blind: 'Aggregator blind',
  overflow: 'More than can be followed',
};

export const CLASSES: readonly { value: string; label: string }[] = Object.entries(CLASS_WORDS).map(
  ([value, label]) => ({ value, label }),
);

export function sayClass(name: string): string {
  return CLASS_WORDS[name] ?? name;
}

const ENDING_WORDS: Readonly<Record<string, string>> = {
  recovered: 'recovered',
  gone: 'what it was about is gone',
  merged: 'became part of another incident',
  forgotten: 'not measured for too long to know',
};

export function sayEnding(ending: string | null): string {
  return ending === null ? '' : (ENDING_WORDS[ending] ?? ending);
}

/** How long it has lasted, or lasted. */
export function lasted(incident: Incident, now: number): string {
  if (incident.flaps > 0) return sayInAll(incident.duration_s);
  const end = incident.ended_at === null ? now : Date.parse(incident.ended_at);
  const seconds = (end - Date.parse(incident.since)) / 1_000;
  if (!Number.isFinite(seconds)) return '–';
  // Seconds that run are of no use beside minutes.
  return formatDuration(seconds < 60 ? Math.max(0, seconds) : seconds - (seconds % 60));
}

/** As often as it was there: once, and once more each time that it came back. */
export function timesOf(incident: Incident): Returned {
  return { ...incident, outages: incident.flaps + 1 };
}

/** When an open one was last found. The aggregator keeps that to a minute, so seconds would be made up. */
export function sayFound({ last_seen_at }: Incident, now: number): string {
  const age = now - Date.parse(last_seen_at);
  return age < 60_000 ? 'less than 1\u00a0min ago' : `${formatAge(age)} ago`;
}

/** What wakes people first, then what nobody takes care of, then what is newest. */
export function byUrgency(incidents: readonly Incident[]): Incident[] {
  const rank = ({ severity }: Incident) => SEVERITIES.indexOf(severityOf(severity));
  const calm = ({ acknowledgement, is_silenced }: Incident) =>
    (acknowledgement ? 1 : 0) + (is_silenced ? 2 : 0);
  return [...incidents].sort(
    (a, b) => calm(a) - calm(b) || rank(a) - rank(b) || Date.parse(b.since) - Date.parse(a.since),
  );
}

export interface IncidentView {
  state: '' | 'open' | 'over';
  severity: string;
  class: string;
  site: string;
  agent: string;
  cursor: string;
}

export function parseIncidents(params: URLSearchParams): IncidentView {
  const state = params.get('state');
  const text = (name: string) => params.get(name) ?? '';
  return {
    state: state === 'open' || state === 'over' ? state : '',
    severity: SEVERITIES.find((severity) => severity === params.get('severity')) ?? '',
    class: text('class') in CLASS_WORDS ? text('class') : '',
    site: text('site'),
    agent: text('agent'),
    cursor: text('cursor'),
  };
}

export function isFiltered({ severity, class: kind, site, agent }: IncidentView): boolean {
  return [severity, kind, site, agent].some((text) => text !== '');
}

export const INCIDENTS_A_PAGE = 50;
/** The aggregator does not know where: to find enough of one place, more are read. */
const READ_FOR_A_PLACE = 500;

export function overQuestion(view: IncidentView): IncidentQuestion {
  const isPlace = view.site !== '' || view.agent !== '';
  return {
    state: 'over',
    limit: isPlace ? READ_FOR_A_PLACE : INCIDENTS_A_PAGE,
    ...(view.severity === '' ? {} : { severity: view.severity }),
    ...(view.class === '' ? {} : { class: view.class }),
    ...(view.cursor === '' ? {} : { cursor: view.cursor }),
  };
}

/** An incident of the whole mesh touches every place, and that of a site touches its agents. */
export function fitting(
  incidents: readonly Incident[],
  view: IncidentView,
  agents: readonly Pick<Agent, 'id' | 'name' | 'site'>[],
): Incident[] {
  const siteOf = new Map(agents.map(({ id, site }) => [id, site]));
  const asked = agents.find(({ name }) => name === view.agent);
  const isAt = ({ subject, sites, agents: keys }: Incident) => {
    if (subject === 'mesh' || subject === 'rest') return true;
    const touchesSite =
      view.site === '' ||
      sites.includes(view.site) ||
      keys.some((key) => siteOf.get(key) === view.site);
    const touchesAgent =
      view.agent === '' ||
      (asked !== undefined && (keys.includes(asked.id) || sites.includes(asked.site)));
    return touchesSite && touchesAgent;
  };
  return incidents.filter(
    (one) =>
      (view.severity === '' || one.severity === view.severity) &&
      (view.class === '' || one.class === view.class) &&
      isAt(one),
  );
}

/** A glance every so often; sooner for a while after the picture changed, for incidents follow it by seconds. */
export const CALM_MS = 15_000;
export const STIRRED_MS = 6_000;
const STIRRED_FOR_MS = 30_000;

export function isDue(now: number, askedAt: number, stirredAt: number): boolean {
  return now - askedAt >= (now - stirredAt < STIRRED_FOR_MS ? STIRRED_MS : CALM_MS);
}

/** For the badge in the navigation. */
export function badgeText(count: number): string {
  return count > 99 ? '99+' : `${count}`;
}

export function incidentPath(id: string): string {
  return `/incidents/${encodeURIComponent(id)}`;
}
