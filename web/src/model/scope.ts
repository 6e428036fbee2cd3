/** Where a rule or a silence holds: as the API has it, as a form has it, and in words. */

import type { Incident, Scope, Selector } from '../api/alerts';
import type { AgentLabel } from './order';

export type NameKind = 'site' | 'agent' | 'tag';

export interface Name {
  kind: NameKind;
  name: string;
}

/** "about" is all paths from and to somebody; "paths" names both sides. */
export type ScopeMode = 'everywhere' | 'about' | 'paths';

export interface ScopeDraft {
  mode: ScopeMode;
  source: Name[];
  target: Name[];
  bothWays: boolean;
}

/** The name of an agent by its key. */
export type NameOf = (key: string) => string;

export const EVERYWHERE: ScopeDraft = {
  mode: 'everywhere',
  source: [],
  target: [],
  bothWays: true,
};

export function nameOfKey(agents: readonly { id: string; name: string }[]): NameOf {
  const names = new Map(agents.map(({ id, name }) => [id, name]));
  // Who left the mesh has a key and no name any more.
  return (key) => names.get(key) ?? (key.length > 16 ? `${key.slice(0, 8)}…` : key);
}

const NOBODY: Selector = { sites: [], tags: [], agents: [] };

function namesOf(selector: Selector | undefined, idOf: NameOf): Name[] {
  const { sites, tags, agents } = selector ?? NOBODY;
  return [
    ...sites.map((name): Name => ({ kind: 'site', name })),
    ...agents.map((key): Name => ({ kind: 'agent', name: idOf(key) })),
    ...tags.map((name): Name => ({ kind: 'tag', name })),
  ];
}

function selectorOf(names: readonly Name[]): Selector {
  const of = (wanted: NameKind) =>
    names.filter(({ kind }) => kind === wanted).map(({ name }) => name);
  return { sites: of('site'), tags: of('tag'), agents: of('agent') };
}

/** A key that has no name stays a key: the aggregator takes both. */
export function draftOf(
  scope: Scope | undefined,
  agents: readonly { id: string; name: string }[],
): ScopeDraft {
  const names = new Map(agents.map(({ id, name }) => [id, name]));
  const idOf = (key: string) => names.get(key) ?? key;
  const [source, target] = [namesOf(scope?.source, idOf), namesOf(scope?.target, idOf)];
  const bothWays = scope?.both_ways ?? false;
  return { mode: modeOf(source.length, target.length, bothWays), source, target, bothWays };
}

function modeOf(source: number, target: number, bothWays: boolean): ScopeMode {
  if (source === 0 && target === 0) return 'everywhere';
  return target === 0 && bothWays ? 'about' : 'paths';
}

export function scopeOf({ mode, source, target, bothWays }: ScopeDraft): Scope {
  if (mode === 'everywhere') return { source: NOBODY, target: NOBODY, both_ways: true };
  if (mode === 'about') return { source: selectorOf(source), target: NOBODY, both_ways: true };
  return { source: selectorOf(source), target: selectorOf(target), both_ways: bothWays };
}

/** What is wrong before anybody is asked. An empty list would mean everybody, which nobody chose here. */
export function scopeFault({ mode, source, target }: ScopeDraft): string {
  if (mode === 'about' && source.length === 0) return 'Name at least one, or choose everywhere.';
  if (mode === 'paths' && source.length === 0 && target.length === 0)
    return 'Name one side at least, or choose everywhere.';
  return '';
}

export function sayNames(names: readonly Name[]): string {
  if (names.length === 0) return 'anybody';
  const said = names.slice(0, SAID_MAX).map(sayName);
  const rest = names.length - said.length;
  return said.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** More names than these do not fit into a line. */
const SAID_MAX = 4;

/** Agents are what most names are of, so only the others say what they are. */
export function sayName({ kind, name }: Name): string {
  return kind === 'agent' ? name : `${kind} ${name}`;
}

export function sayScope(scope: Scope | undefined, nameOf: NameOf): string {
  const [source, target] = [namesOf(scope?.source, nameOf), namesOf(scope?.target, nameOf)];
  const bothWays = scope?.both_ways ?? false;
  switch (modeOf(source.length, target.length, bothWays)) {
    case 'everywhere':
      return 'Everywhere';
    case 'about':
      return `All about ${sayNames(source)}`;
    case 'paths':
      return bothWays
        ? `Between ${sayNames(source)} and ${sayNames(target)}`
        : `From ${sayNames(source)} to ${sayNames(target)}`;
  }
}

/** The silence that an incident suggests: exactly what it is about. */
export function scopeOfIncident(
  incident: Pick<Incident, 'subject' | 'agents' | 'sites'>,
  agents: readonly { id: string; name: string }[],
): ScopeDraft {
  const idOf = new Map(agents.map(({ id, name }) => [id, name]));
  const named: Name[] = [
    ...incident.sites.map((name): Name => ({ kind: 'site', name })),
    ...incident.agents.map((key): Name => ({ kind: 'agent', name: idOf.get(key) ?? key })),
  ];
  const [one, other] = named;
  if (!one) return EVERYWHERE;
  if (!other) return { mode: 'about', source: [one], target: [], bothWays: true };
  return { mode: 'paths', source: [one], target: [other], bothWays: true };
}

export interface Suggestion extends Name {
  /** Such as the site of an agent. */
  more: string;
}

/** What a few letters may mean, best first: what begins with them before what has them inside. */
export function suggestions(
  text: string,
  agents: readonly AgentLabel[],
  taken: readonly Name[],
  most: number,
): Suggestion[] {
  const wanted = text.trim().toLowerCase();
  const [, kind, rest] = /^(?:(site|agent|tag):)?(.*)$/.exec(wanted) ?? [];
  const isTaken = (one: Name) =>
    taken.some((other) => other.kind === one.kind && other.name === one.name);
  const sites = new Map<string, number>();
  for (const { site } of agents) sites.set(site, (sites.get(site) ?? 0) + 1);
  const all: Suggestion[] = [
    ...[...sites].map(([name, count]): Suggestion => {
      return { kind: 'site', name, more: count === 1 ? '1 agent' : `${count} agents` };
    }),
    ...agents.map(({ name, site }): Suggestion => ({ kind: 'agent', name, more: site })),
  ];
  const fits = all.filter(
    (one) => (!kind || one.kind === kind) && one.name.toLowerCase().includes(rest) && !isTaken(one),
  );
  const begins = (one: Name) => (one.name.toLowerCase().startsWith(rest) ? 0 : 1);
  const found = fits.sort((a, b) => begins(a) - begins(b)).slice(0, most);
  // Tags are not known to this page, so what was typed is offered as one.
  const tag: Suggestion = { kind: 'tag', name: text.trim().replace(/^tag:/i, ''), more: '' };
  const mayBeTag = tag.name !== '' && (!kind || kind === 'tag') && !isTaken(tag);
  return mayBeTag && (kind === 'tag' || found.length === 0) ? [...found, tag] : found;
}
