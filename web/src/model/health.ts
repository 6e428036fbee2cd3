/** How the pairs at each end of an agent, and between each two sites, are: counts by state. */

import { PAIR_STATES, STATES, isPair, stateOf, type PairState } from './cell';
import { membersOf } from './kind';
import type { LiveMatrix } from './live';
import { compareNames, type AgentLabel } from './order';

export type Health = Readonly<Record<PairState, number>>;

const NUMBERS = PAIR_STATES.map((state) => STATES.indexOf(state));
const WIDTH = Math.max(...NUMBERS) + 1;

/** Counts by agent, or by any other number below `size`. */
class Tallies {
  readonly #counts: Uint32Array;

  constructor(size: number) {
    this.#counts = new Uint32Array(size * WIDTH);
  }

  add(at: number, state: number): void {
    this.#counts[at * WIDTH + state] += 1;
  }

  of(at: number): Health {
    const count = (state: PairState) => this.#counts[at * WIDTH + STATES.indexOf(state)];
    return {
      down: count('down'),
      lossy: count('lossy'),
      slow: count('slow'),
      unknown: count('unknown'),
      ok: count('ok'),
    };
  }
}

export interface AgentHealth {
  /** Pairs that the agent measures: its row. */
  from: Health;
  /** Pairs in which it is measured: its column. */
  to: Health;
}

export function agentHealth(matrix: LiveMatrix): AgentHealth[] {
  const { n } = matrix;
  const rows = new Tallies(n);
  const columns = new Tallies(n);
  eachPair(matrix, (source, target, state) => {
    rows.add(source, state);
    columns.add(target, state);
  });
  return Array.from({ length: n }, (_, at) => ({ from: rows.of(at), to: columns.of(at) }));
}

export interface SiteMatrix {
  sites: string[];
  /** Row by row; the diagonal holds the pairs inside one site. */
  cells: Health[];
}

export function siteMatrix(matrix: LiveMatrix, agents: AgentLabel[]): SiteMatrix {
  // Endpoints measure nothing: their column stands behind those of all sites.
  const own = new Set(membersOf(agents).map(({ site }) => site));
  const sites = [...new Set(agents.map((agent) => agent.site))].sort(
    (a, b) => Number(own.has(b)) - Number(own.has(a)) || compareNames(a, b),
  );
  const numbers = new Map(sites.map((site, at) => [site, at]));
  const siteOf = Uint32Array.from(agents, (agent) => numbers.get(agent.site) ?? 0);
  const tallies = new Tallies(sites.length ** 2);
  eachPair(matrix, (source, target, state) => {
    tallies.add(siteOf[source] * sites.length + siteOf[target], state);
  });
  const cells = Array.from({ length: sites.length ** 2 }, (_, at) => tallies.of(at));
  return { sites, cells };
}

function eachPair(
  { n, cells }: LiveMatrix,
  visit: (source: number, target: number, state: number) => void,
): void {
  for (let source = 0, at = 0; source < n; source += 1) {
    for (let target = 0; target < n; target += 1, at += 1) {
      if (isPair(cells[at])) visit(source, target, stateOf(cells[at]));
    }
  }
}

export function totalOf(health: Health): number {
  return PAIR_STATES.reduce((sum, state) => sum + health[state], 0);
}

export function knownOf(health: Health): number {
  return totalOf(health) - health.unknown;
}

export function sumOf(one: Health, other: Health): Health {
  const both = { ...one };
  for (const state of PAIR_STATES) both[state] += other[state];
  return both;
}

/** Pairs that are known to be in trouble; unknown is counted apart. */
export function badOf(health: Health): number {
  return health.down + health.lossy + health.slow;
}

/** The worst state that any pair is in; trouble that is known goes before what is not known. */
export function worstOf(health: Health): PairState | null {
  return PAIR_STATES.find((state) => health[state] > 0) ?? null;
}

/** For sorting: each step of severity outweighs many pairs of the one below. */
export function burdenOf(...healths: Health[]): number {
  const weigh = (health: Health) =>
    health.down * 1e9 + health.lossy * 1e6 + health.unknown * 1e3 + health.slow;
  return healths.reduce((sum, health) => sum + weigh(health), 0);
}

/** "2 down, 1 lossy": the trouble alone. */
export function sayBad(health: Health): string {
  const states = ['down', 'lossy', 'slow'] as const;
  return states
    .filter((state) => health[state] > 0)
    .map((state) => `${health[state]} ${state}`)
    .join(', ');
}

/** "2 down, 1 lossy, 5 OK": what a bar of colours says in words. */
export function sayHealth(health: Health): string {
  const said = PAIR_STATES.filter((state) => health[state] > 0).map(
    (state) => `${health[state]} ${state === 'ok' ? 'OK' : state}`,
  );
  return said.length === 0 ? 'nothing measured' : said.join(', ');
}
