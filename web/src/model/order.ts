/** Which agents are on the axes and in what order; where one site ends and the next begins. */

import type { LiveMatrix } from './live';
import { rankOf } from './cell';
import { isEndpoint, type Kind } from './kind';

export interface AgentLabel extends Kind {
  index: number;
  name: string;
  site: string;
  tags?: readonly string[];
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
  /** Runs of one site, without a name where the order does not keep sites together; empty when that is all of it. */
  blocks: Block[];
}

/** Digits compare as numbers, so that "node-10" follows "node-9". */
const NATURAL = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

export function compareNames(a: string, b: string): number {
  return NATURAL.compare(a, b);
}

export function orderAgents(agents: AgentLabel[], sort: Sort, matrix: LiveMatrix): number[] {
  // What has no row of its own stands behind all that has, or the diagonal would have steps.
  const byKind = (a: number, b: number) =>
    Number(isEndpoint(agents[a])) - Number(isEndpoint(agents[b]));
  const byName = (a: number, b: number) => compareNames(agents[a].name, agents[b].name) || a - b;
  const bySort = comparison(agents, sort, matrix);
  return agents
    .map((_, index) => index)
    .sort((a, b) => byKind(a, b) || bySort(a, b) || byName(a, b));
}

function comparison(agents: AgentLabel[], sort: Sort, matrix: LiveMatrix) {
  if (sort === 'name') return () => 0;
  if (sort === 'site')
    return (a: number, b: number) => compareNames(agents[a].site, agents[b].site);
  const burden = burdens(matrix);
  return (a: number, b: number) => burden[b] - burden[a];
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
    blocks: blocksOf(kept, agents, sort === 'site'),
  };
}

/** Endpoints are a group in every order, also beside a site that is called as theirs is. */
function blocksOf(order: number[], agents: AgentLabel[], bySite: boolean): Block[] {
  const first = order.findIndex((index) => isEndpoint(agents[index]));
  if (!bySite && first < 0) return [];
  const blocks: Block[] = [];
  order.forEach((index, position) => {
    const last = blocks.at(-1);
    const site = bySite || isEndpoint(agents[index]) ? agents[index].site : '';
    if (last?.site === site && position !== first) last.end = position + 1;
    else blocks.push({ site, start: position, end: position + 1 });
  });
  return blocks;
}
