/** A pair over time, laid out for charts: one slot a step, and `null` wherever nothing was measured. */

import type { components } from '../api/schema';

export type Series = components['schemas']['Series'];
export type Point = components['schemas']['Point'];

export const RANGES = ['1h', '24h', '7d', '30d'] as const;
export type Range = (typeof RANGES)[number];

export function parseRange(text: string | null): Range {
  return RANGES.find((range) => range === text) ?? RANGES[0];
}

/** New points come once a step; asking more often than this would only repeat the same answer. */
const REFRESH_MS: Record<Range, number> = {
  '1h': 15_000,
  '24h': 60_000,
  '7d': 300_000,
  '30d': 600_000,
};

export function refreshMs(range: Range): number {
  return REFRESH_MS[range];
}

/** More slots than this are more than a screen has pixels; an answer that large is shortened, oldest first. */
const SLOTS_MAX = 10_000;

/** Results come when their window has closed, up to a minute long: what is younger is not missing yet. */
const SETTLED_SECONDS = 90;

export interface Columns {
  /** Seconds since 1970, at the beginning of each step. */
  times: number[];
  stepSeconds: number;
  /** The point of each step; `null` says that nothing was measured, which is not loss. */
  points: (Point | null)[];
  /** How many of them are old enough that an empty one stays empty. */
  settled: number;
}

export function toColumns(series: Series): Columns {
  const step = Math.max(1, series.step_s);
  const end = Date.parse(series.to) / 1_000;
  const count = Math.ceil((end - Date.parse(series.from) / 1_000) / step);
  const slots = Math.min(SLOTS_MAX, Math.max(0, count || 0));
  const start = end - slots * step;
  const points: (Point | null)[] = new Array(slots).fill(null);
  for (const point of series.points) {
    const slot = Math.round((Date.parse(point.at) / 1_000 - start) / step);
    if (slot >= 0 && slot < slots) points[slot] = point;
  }
  const times = points.map((_, slot) => start + slot * step);
  const settled = Math.min(slots, Math.max(0, Math.floor(slots - SETTLED_SECONDS / step)));
  return { times, stepSeconds: step, points, settled };
}

export type Measure = 'rtt_p50_us' | 'rtt_p95_us' | 'rtt_p99_us' | 'loss_permille';

export function measureOf(columns: Columns, measure: Measure): (number | null)[] {
  return columns.points.map((point) => point?.[measure] ?? null);
}

/** Runs of steps without any measurement, as slots from `from` up to and without `to`. */
export function gapsOf({ points, settled }: Columns): { from: number; to: number }[] {
  const gaps: { from: number; to: number }[] = [];
  points.slice(0, settled).forEach((point, slot) => {
    if (point) return;
    const last = gaps.at(-1);
    if (last?.to === slot) last.to = slot + 1;
    else gaps.push({ from: slot, to: slot + 1 });
  });
  return gaps;
}

export function isDown(point: Point): boolean {
  return point.down_s > 0;
}

export interface SeriesSummary {
  sent: number;
  lost: number;
  lossPermille: number | null;
  /** Mean of all replies; percentiles of steps cannot be merged, so none is claimed for the whole. */
  rttMean: number | null;
  rttMin: number | null;
  rttMax: number | null;
  downSeconds: number;
  /** Of the whole range, in thousandths: how much was measured at all. */
  measuredPermille: number;
}

export function summariseSeries({ points, stepSeconds }: Columns): SeriesSummary {
  const known = points.filter((point) => point !== null);
  const sum = (of: (point: Point) => number) =>
    known.reduce((total, point) => total + of(point), 0);
  const sent = sum((point) => point.sent);
  const lost = sum((point) => point.lost);
  const replied = sum((point) => (point.rtt_mean_us === null ? 0 : point.received));
  const length = points.length * stepSeconds;
  return {
    sent,
    lost,
    lossPermille: sent === 0 ? null : (lost / sent) * 1_000,
    rttMean:
      replied === 0
        ? null
        : Math.round(sum((point) => (point.rtt_mean_us ?? 0) * point.received) / replied),
    rttMin: extreme(Math.min, known, 'rtt_min_us'),
    rttMax: extreme(Math.max, known, 'rtt_max_us'),
    downSeconds: sum((point) => point.down_s),
    measuredPermille:
      length === 0 ? 0 : Math.min(1_000, (sum((point) => point.measured_s) / length) * 1_000),
  };
}

function extreme(
  pick: (...values: number[]) => number,
  points: Point[],
  key: 'rtt_min_us' | 'rtt_max_us',
): number | null {
  const values = points.map((point) => point[key]).filter((value) => value !== null);
  return values.length === 0 ? null : pick(...values);
}

/** Both directions share one scale: pictures side by side are compared by height, whatever the axis says. */
export function topOf(columns: readonly Columns[], measure: Measure, least: number): number {
  let top = least;
  for (const one of columns) {
    for (const value of measureOf(one, measure)) if (value !== null && value > top) top = value;
  }
  return top;
}
