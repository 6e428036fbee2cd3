/** Who came after a moment: the agents that a token let in, told by comparing with those there before. */

import { isPair, stateOf, UNKNOWN } from './cell';
import type { LiveMatrix } from './live';

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
