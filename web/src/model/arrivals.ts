/** Who came after a moment: the agents that a token let in, told by comparing with those there before. */

import { isPair, stateOf, UNKNOWN } from './cell';
import { formatCount, plural } from './format';
import type { LiveMatrix } from './live';
import { NEVER_REPORTED } from './silence';

export interface Arrival<Agent> {
  agent: Agent;
  /** Pairs at either end of it, and how many of them have a result. */
  pairs: number;
  measured: number;
}

export function arrivalsSince<Agent extends { id: string; index: number }>(
  before: ReadonlySet<string>,
  agents: readonly Agent[],
  matrix: LiveMatrix,
): Arrival<Agent>[] {
  return agents
    .filter(({ id, index }) => !before.has(id) && index < matrix.n)
    .map((agent) => {
      let pairs = 0;
      let measured = 0;
      for (let peer = 0; peer < matrix.n; peer += 1) {
        for (const cell of [matrix.cell(agent.index, peer), matrix.cell(peer, agent.index)]) {
          if (peer === agent.index || !isPair(cell)) continue;
          pairs += 1;
          if (stateOf(cell) !== UNKNOWN) measured += 1;
        }
      }
      return { agent, pairs, measured };
    });
}

/** From joining to the first report it takes seconds; after this it is worth asking why. */
const REPORTS_WITHIN_MS = 30_000;

export function sayArrival(
  { agent, pairs, measured }: Arrival<{ joined_at: string; last_seen_at: string | null }>,
  now: number,
): string {
  const isLate = now - Date.parse(agent.joined_at) >= REPORTS_WITHIN_MS;
  if (agent.last_seen_at === null && measured === 0 && isLate) return NEVER_REPORTED;
  if (pairs === 0) return 'alone so far';
  if (measured === 0) return 'waiting for its first results';
  return `${formatCount(measured)} of ${plural(pairs, 'pair')} measured`;
}
