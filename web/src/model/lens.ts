/**
 * A lens turns a cell into a *class*: a small number that is both the colour and the severity, so that
 * the maximum of two classes is the worse one and pooling needs no second table. Health keeps quiet where
 * all is well: hue says what is wrong (blue latency, orange loss, purple down), lightness how much.
 * The colours keep apart under simulated protanopia, deuteranopia and tritanopia in both themes.
 */

import { DOWN, LOSSY, NOT_ASSIGNED, SELF, SLOW, UNKNOWN } from './cell';
import { lossPermille, rttMicros, stateOf } from './cell';

export const LENSES = ['health', 'loss', 'rtt'] as const;
export type Lens = (typeof LENSES)[number];

export interface ClassStyle {
  label: string;
  light: string;
  dark: string;
}

export const CLASS_NONE = 0;
export const CLASS_SELF = 1;
/** The same number in every lens, so that the painter knows where the hatch belongs. */
export const CLASS_UNKNOWN = 8;
export const CLASS_DOWN = 13;

const none = { label: 'Not assigned', light: '#ffffff', dark: '#191f27' };
const self = { label: 'Itself', light: '#dde2e7', dark: '#2d353f' };
const unknown = { label: 'Unknown', light: '#a3a3a3', dark: '#7d7d7d' };
const down = { label: 'Down', light: '#5c0057', dark: '#ffe9fd' };
const ok = { label: 'OK', light: '#e6eff8', dark: '#1d2b3a' };

const LOSS_STEPS: ClassStyle[] = [
  { label: 'Loss < 1 %', light: '#ffe066', dark: '#6e5200' },
  { label: '< 5 %', light: '#ffab2e', dark: '#b07a00' },
  { label: '< 20 %', light: '#f07c12', dark: '#e08a00' },
  { label: '≥ 20 %', light: '#c24a00', dark: '#ffb627' },
];
const SLOW_STEPS: ClassStyle[] = [
  { label: 'Slow, < 20 ms', light: '#bcdcf5', dark: '#173f63' },
  { label: '< 100 ms', light: '#74b3e3', dark: '#1d68a8' },
  { label: '≥ 100 ms', light: '#1f78c1', dark: '#3d9bea' },
];
const RTT_STEPS: ClassStyle[] = [
  { label: '< 1 ms', light: '#eaf3fb', dark: '#172635' },
  { label: '< 5 ms', light: '#cfe4f6', dark: '#17354f' },
  { label: '< 20 ms', light: '#a3cdef', dark: '#17486f' },
  { label: '< 50 ms', light: '#6fb0e2', dark: '#1d6096' },
  { label: '< 150 ms', light: '#3b8acb', dark: '#2f82c9' },
  { label: '≥ 150 ms', light: '#12548f', dark: '#62b4f5' },
];

type Table = (ClassStyle | null)[];

/** Indexed by class; a hole is a class that the lens does not use. */
export const STYLES: Record<Lens, Table> = {
  health: [none, self, ok, ...SLOW_STEPS, null, null, unknown, ...LOSS_STEPS, down],
  loss: [
    none,
    self,
    { ...ok, label: 'No loss' },
    ...Array(5).fill(null),
    unknown,
    ...LOSS_STEPS,
    down,
  ],
  rtt: [none, self, ...RTT_STEPS, unknown, null, null, null, null, down],
};

const FIRST_STEP = 2;
const FIRST_SLOW = 3;
const FIRST_LOSS = CLASS_UNKNOWN + 1;

export function classOf(cell: number, lens: Lens): number {
  const state = stateOf(cell);
  if (state === NOT_ASSIGNED) return CLASS_NONE;
  if (state === SELF) return CLASS_SELF;
  if (state === UNKNOWN) return CLASS_UNKNOWN;
  if (state === DOWN) return CLASS_DOWN;
  if (lens === 'rtt') return rttClass(cell);
  if (lens === 'loss') return lossPermille(cell) ? lossClass(cell) : FIRST_STEP;
  if (state === LOSSY) return lossClass(cell);
  return state === SLOW ? slowClass(cell) : FIRST_STEP;
}

function lossClass(cell: number): number {
  const loss = lossPermille(cell) ?? 0;
  return FIRST_LOSS + step(loss, 10, 50, 200);
}

function slowClass(cell: number): number {
  const rtt = rttMicros(cell);
  return rtt === null ? FIRST_SLOW : FIRST_SLOW + step(rtt, 20_000, 100_000);
}

function rttClass(cell: number): number {
  const rtt = rttMicros(cell);
  if (rtt === null) return CLASS_UNKNOWN;
  return FIRST_STEP + step(rtt, 1_000, 5_000, 20_000, 50_000, 150_000);
}

function step(value: number, ...limits: number[]): number {
  return limits.filter((limit) => value >= limit).length;
}
