/** One cell of the matrix: four bytes, kept as one little-endian u32 so that a million of them stay cheap. */

export const STATES = ['unknown', 'ok', 'slow', 'lossy', 'down', 'self', 'not-assigned'] as const;
export type State = (typeof STATES)[number];

/** The five states a measured pair can be in, worst first: the order of every list and count. */
export const PAIR_STATES = ['down', 'lossy', 'slow', 'unknown', 'ok'] as const;
export type PairState = (typeof PAIR_STATES)[number];

export const UNKNOWN = 0;
export const OK = 1;
export const SLOW = 2;
export const LOSSY = 3;
export const DOWN = 4;
export const SELF = 5;
export const NOT_ASSIGNED = 6;

const LOSS_UNIT_PERMILLE = 4;
const LOSS_MAX = 250; // 255 is "not known"; what lies between is not defined
const RTT_UNKNOWN = 0xffff;
const RTT_MANTISSA_BITS = 11;
const RTT_MANTISSA_MASK = (1 << RTT_MANTISSA_BITS) - 1;

/** Worse is higher, by state number. Unknown ranks above slow: an unmeasured path may hide anything. */
const RANK = [3, 1, 2, 4, 5, 0, 0];

/** A state number this build does not know comes from a newer server; "unknown" is the honest reading. */
export function stateOf(cell: number): number {
  const state = cell & 0xff;
  return state < STATES.length ? state : UNKNOWN;
}

export function stateName(cell: number): State {
  return STATES[stateOf(cell)];
}

export function rankOf(cell: number): number {
  return RANK[stateOf(cell)];
}

/** True for a cell that somebody is asked to measure. */
export function isPair(cell: number): boolean {
  return stateOf(cell) < SELF;
}

export function lossPermille(cell: number): number | null {
  const loss = (cell >>> 8) & 0xff;
  if (loss > LOSS_MAX) return null;
  return loss * LOSS_UNIT_PERMILLE;
}

export function rttMicros(cell: number): number | null {
  const packed = cell >>> 16;
  if (packed === RTT_UNKNOWN) return null;
  // A multiplication, because the exponent reaches 31 and a shift would run into the sign bit.
  return (packed & RTT_MANTISSA_MASK) * 2 ** (packed >>> RTT_MANTISSA_BITS);
}
