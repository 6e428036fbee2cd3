/** One agent's row and column of the matrix, side by side: every other agent, there and back. */

import { UNKNOWN, isPair, lossPermille, rankOf, rttMicros } from './cell';
import type { LiveMatrix } from './live';
import { compareNames, type AgentLabel } from './order';
import type { Order } from './table';

export const PEER_COLUMNS = ['peer', 'out', 'outLoss', 'outRtt', 'in', 'inLoss', 'inRtt'] as const;
export type PeerColumn = (typeof PEER_COLUMNS)[number];

export const PEER_ORDER: Order<PeerColumn> = { column: 'out', descending: true };

export interface Peer {
  index: number;
  name: string;
  site: string;
  /** From the agent to this peer; what nobody is asked to measure counts as unknown here. */
  out: number;
  in: number;
}

export function peersOf(
  matrix: LiveMatrix,
  agents: readonly AgentLabel[],
  agent: number,
  order: Order<PeerColumn>,
): Peer[] {
  const peers = agents
    .map(({ index, name, site }) => ({
      index,
      name,
      site,
      out: matrix.cell(agent, index),
      in: matrix.cell(index, agent),
    }))
    .filter((peer) => isPair(peer.out) || isPair(peer.in));
  const sign = order.descending ? -1 : 1;
  return peers.sort(
    (a, b) =>
      sign * compare(a, b, order.column) ||
      severity(b.in) + severity(b.out) - severity(a.in) - severity(a.out) ||
      compareNames(a.name, b.name),
  );
}

function compare(a: Peer, b: Peer, column: PeerColumn): number {
  switch (column) {
    case 'peer':
      return compareNames(a.name, b.name);
    case 'out':
      return severity(a.out) - severity(b.out);
    case 'in':
      return severity(a.in) - severity(b.in);
    case 'outLoss':
      return known(lossPermille(a.out)) - known(lossPermille(b.out));
    case 'inLoss':
      return known(lossPermille(a.in)) - known(lossPermille(b.in));
    case 'outRtt':
      return known(rttMicros(a.out)) - known(rttMicros(b.out));
    case 'inRtt':
      return known(rttMicros(a.in)) - known(rttMicros(b.in));
  }
}

function severity(cell: number): number {
  return rankOf(isPair(cell) ? cell : UNKNOWN) * 10_000 + (lossPermille(cell) ?? 0);
}

function known(value: number | null): number {
  return value ?? -1;
}
