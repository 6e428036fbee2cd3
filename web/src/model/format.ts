/** Numbers and times as an operator reads them: no line breaks before a unit. Unknown is always a dash, never a zero. */

import { lossPermille, rttMicros, stateName, type State } from './cell';

export const NOT_KNOWN = '–';

export function formatLoss(permille: number | null): string {
  if (permille === null) return NOT_KNOWN;
  if (permille === 0) return '0\u00a0%';
  const percent = permille / 10;
  return percent < 10 ? `${percent.toFixed(1)}\u00a0%` : `${Math.round(percent)}\u00a0%`;
}

/** Three significant digits and the unit that needs no leading zeros. */
export function formatRtt(micros: number | null): string {
  if (micros === null) return NOT_KNOWN;
  if (micros < 1_000) return `${micros}\u00a0µs`;
  if (micros < 1_000_000) return `${threeDigits(micros / 1_000)}\u00a0ms`;
  return `${threeDigits(micros / 1_000_000)}\u00a0s`;
}

/** RTT in ms without its unit, for the inside of a cell. */
export function formatRttShort(micros: number | null): string {
  return micros === null ? '' : threeDigits(micros / 1_000);
}

function threeDigits(value: number): string {
  if (value >= 99.95) return Math.round(value).toString();
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

const STATE_WORDS: Record<State, string> = {
  unknown: 'Unknown',
  ok: 'OK',
  slow: 'Slow',
  lossy: 'Lossy',
  down: 'Down',
  self: 'Itself',
  'not-assigned': 'Not assigned',
};

export function stateWord(state: State): string {
  return STATE_WORDS[state];
}

export function formatCell(cell: number): string {
  const state = stateName(cell);
  if (state === 'self') return 'the agent itself';
  if (state === 'not-assigned') return 'not assigned, nobody is asked to measure it';
  const word = stateWord(state).toLowerCase();
  return `${state === 'ok' ? 'OK' : word}, loss ${spoken(formatLoss(lossPermille(cell)))}, RTT ${spoken(formatRtt(rttMicros(cell)))}`;
}

function spoken(text: string): string {
  return text === NOT_KNOWN ? 'not known' : text;
}

/** The whole cell in one sentence, for the live region that a screen reader follows. */
export function sayPair(
  source: string,
  target: string,
  cell: number,
  /** Null where there is none, as from an endpoint. */
  reverse: number | null,
): string {
  if (stateName(cell) === 'self') return `${source}: itself.`;
  if (reverse === null) return `${source} to ${target}: ${formatCell(cell)}.`;
  return `${source} to ${target}: ${formatCell(cell)}. Reverse: ${formatCell(reverse)}.`;
}

export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  if (seconds < 60) return `${seconds}\u00a0s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}\u00a0min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}\u00a0h`;
  return `${Math.floor(seconds / 86_400)}\u00a0d`;
}

const GROUPED = new Intl.NumberFormat('en');

export function formatCount(count: number): string {
  return GROUPED.format(count);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** For an axis: as short as it can be, because the tick says where exactly. */
export function formatRttTick(micros: number): string {
  if (micros === 0) return '0';
  if (micros < 1_000) return `${micros}\u00a0µs`;
  if (micros < 1_000_000) return `${Number((micros / 1_000).toPrecision(3))}\u00a0ms`;
  return `${Number((micros / 1_000_000).toPrecision(3))}\u00a0s`;
}

export function formatPercentTick(permille: number): string {
  return `${Number((permille / 10).toPrecision(3))}\u00a0%`;
}
