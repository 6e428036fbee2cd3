/** How a pair's history is drawn: RTT as a median over two bands, loss as bars, and gaps as gaps. */

import type uPlot from 'uplot';
import { formatPercentTick, formatRttTick } from '../../model/format';
import { measureOf, type Columns } from '../../model/series';
import { tickLabels } from '../../model/time';
import { paintBelow, paintLoss } from './marks';

export type ChartKind = 'rtt' | 'loss';

export interface Scene {
  columns: Columns;
  top: number;
}

export interface ChartInk {
  accent: string;
  loss: string;
  down: string;
  ok: string;
  line: string;
  muted: string;
  hatch: string;
  font: string;
}

const HEIGHTS: Record<ChartKind, number> = { rtt: 190, loss: 96 };
const AXIS_WIDTH = 56;
const X_AXIS_HEIGHT = 26;

export function heightOf(kind: ChartKind): number {
  return HEIGHTS[kind];
}

export function readInk(element: Element): ChartInk {
  const style = getComputedStyle(element);
  const color = (name: string) => style.getPropertyValue(`--ep-${name}`).trim();
  return {
    accent: color('accent'),
    loss: color('lossy'),
    down: color('down'),
    ok: color('bar-ok'),
    line: color('line'),
    muted: color('muted'),
    hatch: color('unknown'),
    font: `11px ${style.fontFamily}`,
  };
}

/** A step is drawn at its middle: it says nothing about one moment. */
export function dataOf(kind: ChartKind, columns: Columns): uPlot.AlignedData {
  const middles = columns.times.map((time) => time + columns.stepSeconds / 2);
  if (kind === 'loss') return [middles, measureOf(columns, 'loss_permille')];
  return [
    middles,
    measureOf(columns, 'rtt_p50_us'),
    measureOf(columns, 'rtt_p95_us'),
    measureOf(columns, 'rtt_p99_us'),
  ];
}

export function optionsOf(
  kind: ChartKind,
  scene: () => Scene,
  ink: ChartInk,
  width: number,
  point: (slot: number | null) => void,
): uPlot.Options {
  return {
    width,
    height: HEIGHTS[kind],
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: {
      drag: { x: false, y: false },
      y: false,
      points: { show: false },
      // One moment in all four charts.
      sync: { key: 'pair', setSeries: false, scales: ['x', null] },
    },
    scales: {
      x: { time: true, range: () => spanOf(scene().columns) },
      y: { range: () => [0, scene().top * 1.06] },
    },
    axes: [
      {
        stroke: ink.muted,
        font: ink.font,
        // The loss chart is right below, and its labels serve both.
        size: kind === 'loss' ? X_AXIS_HEIGHT : 8,
        grid: { stroke: ink.line, width: 0.5 },
        ticks: { stroke: ink.line, width: 1, size: 4 },
        values: (_, splits, __, ___, distance) =>
          kind === 'loss' ? tickLabels(splits, distance) : splits.map(() => ''),
      },
      {
        stroke: ink.muted,
        font: ink.font,
        size: AXIS_WIDTH,
        space: 28,
        grid: { stroke: ink.line, width: 0.5 },
        ticks: { show: false },
        values: (_, splits) => splits.map(kind === 'rtt' ? formatRttTick : formatPercentTick),
      },
    ],
    series:
      kind === 'rtt' ? rttSeries(scene, ink) : [{}, { paths: () => null, points: { show: false } }],
    bands:
      kind === 'rtt'
        ? [
            { series: [2, 1], fill: faded(ink.accent, 0.34) },
            { series: [3, 2], fill: faded(ink.accent, 0.14) },
          ]
        : [],
    hooks: {
      drawClear: [(chart) => paintBelow(chart, scene().columns, ink)],
      draw: kind === 'loss' ? [(chart) => paintLoss(chart, scene().columns, ink)] : [],
      setCursor: [(chart) => point(chart.cursor.idx ?? null)],
    },
  };
}

function rttSeries(scene: () => Scene, ink: ChartInk): uPlot.Series[] {
  // A lone step between two gaps is no line; without its dot it would not be seen.
  const points = {
    show: true,
    size: 3.5,
    width: 0,
    fill: ink.accent,
    filter: () => lonely(scene().columns),
  };
  const edge = { stroke: 'transparent', width: 0, points: { show: false } };
  return [{}, { stroke: ink.accent, width: 1.75, points }, edge, edge];
}

function lonely({ points }: Columns): number[] {
  const isKnown = (slot: number) => (points[slot]?.rtt_p50_us ?? null) !== null;
  return points.flatMap((_, slot) =>
    isKnown(slot) && !isKnown(slot - 1) && !isKnown(slot + 1) ? [slot] : [],
  );
}

function spanOf({ times, stepSeconds }: Columns): [number, number] {
  return [times[0] ?? 0, (times.at(-1) ?? 0) + stepSeconds];
}

/** Hex colours only, which is what the tokens hold. */
function faded(hex: string, opacity: number): string {
  const share = Math.round(opacity * 255);
  return hex + share.toString(16).padStart(2, '0');
}
