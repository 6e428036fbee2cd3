/** A configuration while somebody changes it: every field there, and faults that stay with their entry. */

import type { MeshConfig } from '../api/config';
import { labelOf } from './config';
import { isWithin, type FieldError } from './problem';

export interface DraftEndpoint {
  name: string;
  address: string;
  observers: string[];
}

export interface DraftAgent {
  agent: string;
  /** Empty: as it said when it joined. */
  site: string;
  tags: string[];
}

export interface DraftConfig extends Omit<MeshConfig, 'endpoints' | 'agents' | 'exclude'> {
  endpoints: DraftEndpoint[];
  agents: DraftAgent[];
  exclude: { between: [string, string] }[];
}

export type List = 'endpoints' | 'agents' | 'exclude';

export function toDraft(config: MeshConfig): DraftConfig {
  return {
    probe: { interval: spaced(config.probe.interval), timeout: spaced(config.probe.timeout) },
    window: config.window,
    cells: { ...config.cells, slow_margin: spaced(config.cells.slow_margin) },
    endpoints: config.endpoints.map(({ name, address, observers }) => ({
      name,
      address,
      observers: [...(observers ?? [])],
    })),
    agents: config.agents.map(({ agent, site, tags }) => ({
      agent,
      site: site ?? '',
      tags: [...(tags ?? [])],
    })),
    exclude: config.exclude.map(({ between }) => ({
      between: [between[0] ?? '', between[1] ?? ''],
    })),
  };
}

/** With the space that all other times have; it is taken out again. */
const spaced = (span: string) => span.replace(/^(\d+)([a-z]+)$/, '$1 $2');

export const compact = (span: string) => span.replace(/\s+/g, '');

/** As it is sent: what was typed without the blanks around it (in a time, also "5 s"), and no site where there is none. */
export function fromDraft(draft: DraftConfig): MeshConfig {
  const { interval, timeout } = draft.probe;
  return {
    probe: { interval: compact(interval), timeout: compact(timeout) },
    window: draft.window,
    cells: { ...draft.cells, slow_margin: compact(draft.cells.slow_margin) },
    endpoints: draft.endpoints.map(({ name, address, observers }) => ({
      name: name.trim(),
      address: address.trim(),
      observers: [...observers],
    })),
    agents: draft.agents.map(({ agent, site, tags }) => ({
      agent: agent.trim(),
      ...(site.trim() === '' ? {} : { site: site.trim() }),
      tags: [...tags],
    })),
    exclude: draft.exclude.map(({ between: [one, other] }) => ({
      between: [one.trim(), other.trim()],
    })),
  };
}

const PLACE = /^(\w+)\[(\d+)\](.*)$/;

/** After an entry is gone, what was said of it goes too, and what was said of those behind it moves up. */
export function faultsWithout(
  faults: readonly FieldError[],
  list: List,
  gone: number,
): FieldError[] {
  return faults.flatMap((fault) => {
    const place = PLACE.exec(fault.field);
    if (!place || place[1] !== list) return [fault];
    const at = Number(place[2]);
    if (at === gone) return [];
    return at < gone ? [fault] : [{ ...fault, field: `${list}[${at - 1}]${place[3]}` }];
  });
}

/** All that is said of a place and of what is in it. */
export function faultsAt(faults: readonly FieldError[], path: string): FieldError[] {
  return faults.filter(({ field }) => isWithin(field, path));
}

export function faultsElsewhere(faults: readonly FieldError[], path: string): FieldError[] {
  const at = new Set(faultsAt(faults, path));
  return faults.filter((fault) => !at.has(fault));
}

const SPAN = /^\d+(ms|s|m|h|d)$/;
const SPAN_HINTS = [
  ['probe.interval', 'from 1 s to 60 s, such as 5 s'],
  ['probe.timeout', 'from 100 ms up to the time between probes, such as 1 s'],
  ['cells.slow_margin', 'at most 10 s, such as 5 ms'],
] as const;

/** What can be told without asking: a field that is empty, and a length of time that is none. */
export function draftFaults(draft: DraftConfig): FieldError[] {
  const spans = [draft.probe.interval, draft.probe.timeout, draft.cells.slow_margin];
  const faults = SPAN_HINTS.filter((_, at) => !SPAN.test(compact(spans[at]))).map(
    ([field, hint]) => ({ field, detail: `A whole number and its unit, ${hint}.` }),
  );
  return [...faults, ...missing(draft)];
}

function missing(draft: DraftConfig): FieldError[] {
  return Object.entries(draft.cells)
    .filter(([, value]) => value === null || value === undefined || Number.isNaN(value))
    .map(([field]) => ({ field: `cells.${field}`, detail: 'A number is missing.' }));
}

/** What a selector may be: `all`, and every site, tag and agent that is known, here or in the mesh. */
export function selectorsOf(
  draft: DraftConfig,
  agents: readonly { name: string; site: string; kind?: string }[],
): { selectors: string[]; sites: string[]; tags: string[]; names: string[] } {
  const members = agents.filter(({ kind }) => kind !== 'endpoint');
  const sites = unique([
    ...members.map(({ site }) => site),
    ...draft.agents.map(({ site }) => site),
  ]);
  const tags = unique(draft.agents.flatMap((agent) => agent.tags));
  const names = unique(members.map(({ name }) => name));
  const selectors = [
    'all',
    ...sites.map((site) => `site:${site}`),
    ...tags.map((tag) => `tag:${tag}`),
    ...names.map((name) => `agent:${name}`),
  ];
  return { selectors, sites, tags, names };
}

function unique(words: readonly string[]): string[] {
  return [...new Set(words.filter((word) => word !== ''))].sort((a, b) =>
    a.localeCompare(b, 'en', { numeric: true }),
  );
}

/** Where a fault is, as the reader of the form knows it. */
export function nameOfPlace(path: string, draft: DraftConfig): string {
  if (path === '') return 'The whole';
  const place = PLACE.exec(path);
  if (!place) return labelOf(path);
  const [, list, number, rest] = place;
  const at = Number(number);
  const field = labelOf(/^\.(\w+)/.exec(rest)?.[1] ?? list);
  const nth = `${at + 1}.`;
  if (list === 'endpoints') return `${field} of the endpoint ${draft.endpoints[at]?.name || nth}`;
  if (list === 'agents') return `${field} of the agent ${draft.agents[at]?.agent || nth}`;
  return `What is left out, ${nth}`;
}
