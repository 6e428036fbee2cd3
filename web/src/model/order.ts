/** Which agents are on the axes and in what order; where one site ends and the next begins. */

import type { LiveMatrix } from './live';
import { rankOf } from './cell';

export interface AgentLabel {
  index: number;
  name: string;
  site: string;
}

export const SORTS = ['site', 'name', 'worst'] as const;
export type Sort = (typeof SORTS)[number];

export interface Block {
  site: string;
  start: number;
  end: number;
}

export interface Axis {
  /** Agent index at each position. */
  agents: Uint32Array;
  /** Position of each agent index, or -1 when the agent is not on this axis. */
  positions: Int32Array;
  /** Runs of one site; empty when the order does not keep sites together. */
  blocks: Block[];
}

/** Digits compare as numbers, so that "node-10" follows "node-9". */
const NATURAL = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

export function compareNames(a: string, b: string): number {
  return NATURAL.compare(a, b);
}

export function orderAgents(agents: AgentLabel[], sort: Sort, matrix: LiveMatrix): number[] {
  const byName = (a: number, b: number) => compareNames(agents[a].name, agents[b].name) || a - b;
  const indexes = agents.map((_, index) => index);
  if (sort === 'name') return indexes.sort(byName);
  if (sort === 'site') {
    return indexes.sort((a, b) => compareNames(agents[a].site, agents[b].site) || byName(a, b));
  }
  const burden = burdens(matrix);
  return indexes.sort((a, b) => burden[b] - burden[a] || byName(a, b));
}

/** How bad an agent's row and column are: each step of severity outweighs many pairs of the one below. */
function burdens(matrix: LiveMatrix): Float64Array {
  const { n, cells } = matrix;
  const burden = new Float64Array(n);
  for (let source = 0, at = 0; source < n; source += 1) {
    for (let target = 0; target < n; target += 1, at += 1) {
      const rank = rankOf(cells[at]);
      if (rank < 2) continue;
      burden[source] += 10 ** rank;
      burden[target] += 10 ** rank;
    }
  }
  return burden;
}

export function buildAxis(
  order: number[],
  agents: AgentLabel[],
  sort: Sort,
  keeps: (index: number) => boolean,
): Axis {
  const kept = order.filter(keeps);
  const positions = new Int32Array(agents.length).fill(-1);
  kept.forEach((index, position) => (positions[index] = position));
  return {
    agents: Uint32Array.from(kept),
    positions,
    blocks: sort === 'site' ? siteBlocks(kept, agents) : [],
  };
}

function siteBlocks(order: number[], agents: AgentLabel[]): Block[] {
  const blocks: Block[] = [];
  order.forEach((index, position) => {
    const last = blocks.at(-1);
    const { site } = agents[index];
    if (last?.site === site) last.end = position + 1;
    else blocks.push({ site, start: position, end: position + 1 });
  });
  return blocks;
}
