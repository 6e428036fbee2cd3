/** Which pairs an incident is about, and how they are now. */

import type { Incident } from '../api/alerts';
import { isPair, OK, rankOf, stateOf, UNKNOWN } from './cell';
import type { LiveMatrix } from './live';
import type { AgentLabel } from './order';
import { formatQuery, parseQuery } from './query';

export interface AffectedPair {
  source: string;
  target: string;
  cell: number;
}

export interface Affected {
  /** Of all pairs that it is about. */
  total: number;
  bad: number;
  unknown: number;
  /** The worst of them. */
  pairs: AffectedPair[];
}

type Ends = Pick<Incident, 'subject' | 'agents' | 'sites'>;
export type NamedAgent = AgentLabel & { id: string };

/** `null` where it is about the whole mesh, which the matrix shows better, or about nobody who is here. */
export function affectedBy(
  incident: Ends,
  matrix: LiveMatrix,
  agents: readonly NamedAgent[],
  most: number,
): Affected | null {
  const sides = sidesOf(incident, agents);
  if (!sides || sides.one.length === 0) return null;
  const found: Affected = { total: 0, bad: 0, unknown: 0, pairs: [] };
  const bad: AffectedPair[] = [];
  const look = (from: NamedAgent, to: NamedAgent) => {
    const cell = matrix.cell(from.index, to.index);
    if (!isPair(cell)) return;
    found.total += 1;
    const state = stateOf(cell);
    if (state === UNKNOWN) found.unknown += 1;
    else if (state !== OK) found.bad += 1;
    const isWhole = sides.one.length === 1 && sides.other.length === 1;
    if (isWhole || (state !== OK && state !== UNKNOWN))
      bad.push({ source: from.name, target: to.name, cell });
  };
  for (const one of sides.one) {
    for (const other of sides.other) {
      if (one.index === other.index) continue;
      look(one, other);
      look(other, one);
    }
  }
  found.pairs = bad.sort((a, b) => rankOf(b.cell) - rankOf(a.cell)).slice(0, most);
  return found;
}

function sidesOf(
  { subject, agents: keys, sites }: Ends,
  agents: readonly NamedAgent[],
): { one: readonly NamedAgent[]; other: readonly NamedAgent[] } | null {
  const byKey = (key: string) => agents.filter(({ id }) => id === key);
  const at = (site: string) => agents.filter((agent) => agent.site === site);
  switch (subject) {
    case 'agent':
      return { one: byKey(keys[0]), other: agents };
    case 'pair':
      return { one: byKey(keys[0]), other: byKey(keys[1]) };
    case 'site':
      return { one: at(sites[0]), other: agents.filter(({ site }) => site !== sites[0]) };
    case 'site_pair':
      return { one: at(sites[0]), other: at(sites[1]) };
    default:
      return null;
  }
}

/** The pair, in either direction, is among those that it is about. Of the whole mesh, all are. */
export function isAbout(incident: Ends, one: NamedAgent, other: NamedAgent): boolean {
  if (incident.subject === 'mesh') return true;
  const sides = sidesOf(incident, [one, other]);
  if (!sides) return false;
  const has = (side: readonly NamedAgent[], agent: NamedAgent) =>
    side.some(({ id }) => id === agent.id);
  return (
    (has(sides.one, one) && has(sides.other, other)) ||
    (has(sides.one, other) && has(sides.other, one))
  );
}

/** The matrix with exactly these rows and columns, as near as its filter comes. */
export function matrixPath(incident: Ends, nameOf: (key: string) => string): string {
  const names = [...incident.sites, ...incident.agents.map(nameOf)];
  const text = names.length === 2 ? `${names[0]} > ${names[1]}` : (names[0] ?? '');
  const defaults = parseQuery(new URLSearchParams());
  const isList = incident.subject !== 'mesh' && incident.subject !== 'rest';
  return `/matrix${formatQuery({
    ...defaults,
    view: isList ? 'list' : 'grid',
    filter: { text, states: [] },
  })}`;
}
