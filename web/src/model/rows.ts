/** The matrix as rows of a table: what is shown, and in which order. */

import { isPair, lossPermille, rankOf, rttMicros } from './cell';
import type { Selection } from './filter';
import type { LiveMatrix } from './live';
import { compareNames, type AgentLabel } from './order';

export const COLUMNS = ['source', 'target', 'state', 'loss', 'rtt', 'reverse'] as const;
export type Column = (typeof COLUMNS)[number];

export interface RowOrder {
  column: Column;
  descending: boolean;
}

/** Worst first: what a reader of a list of thousands came for. */
export const DEFAULT_ORDER: RowOrder = { column: 'state', descending: true };

/** Cell numbers of the measured pairs that pass, in the asked order. */
export function selectRows(
  matrix: LiveMatrix,
  agents: AgentLabel[],
  selection: Selection,
  order: RowOrder,
): number[] {
  const { n, cells } = matrix;
  const rows: number[] = [];
  for (let source = 0, at = 0; source < n; source += 1) {
    for (let target = 0; target < n; target += 1, at += 1) {
      if (isPair(cells[at]) && selection.has(source, target, cells[at])) rows.push(at);
    }
  }
  const names = nameRanks(agents);
  const compare = comparison(matrix, names, order.column);
  const sign = order.descending ? -1 : 1;
  const byName = comparison(matrix, names, 'source');
  return rows.sort((a, b) => sign * compare(a, b) || byName(a, b));
}

type Compare = (a: number, b: number) => number;

function comparison(matrix: LiveMatrix, names: Uint32Array, column: Column): Compare {
  const { n, cells } = matrix;
  const source = (at: number) => names[Math.floor(at / n)];
  const target = (at: number) => names[at % n];
  const reverse = (at: number) => cells[(at % n) * n + Math.floor(at / n)];
  switch (column) {
    case 'source':
      return (a, b) => source(a) - source(b) || target(a) - target(b);
    case 'target':
      return (a, b) => target(a) - target(b) || source(a) - source(b);
    case 'state':
      return (a, b) => severity(cells[a]) - severity(cells[b]);
    case 'loss':
      return (a, b) => known(lossPermille(cells[a])) - known(lossPermille(cells[b]));
    case 'rtt':
      return (a, b) => known(rttMicros(cells[a])) - known(rttMicros(cells[b]));
    case 'reverse':
      return (a, b) => severity(reverse(a)) - severity(reverse(b));
  }
}

/** State first, then loss: two lossy pairs are not equally bad. */
function severity(cell: number): number {
  return rankOf(cell) * 10_000 + (lossPermille(cell) ?? 0);
}

/** What is not known sorts below every number. */
function known(value: number | null): number {
  return value ?? -1;
}

/** Names are compared once per agent, not once per pair: sorting a million rows by text would stall. */
function nameRanks(agents: AgentLabel[]): Uint32Array {
  const sorted = agents.map((_, index) => index);
  sorted.sort((a, b) => compareNames(agents[a].name, agents[b].name) || a - b);
  const ranks = new Uint32Array(agents.length);
  sorted.forEach((index, rank) => (ranks[index] = rank));
  return ranks;
}
