/** What the chart library does not draw: steps without a measurement, steps judged down, and loss. */

import type uPlot from 'uplot';
import { gapsOf, isDown, type Columns } from '../../model/series';
import type { ChartInk } from './options';

const HATCH_PIXELS = 6;
/** A lost probe among thousands is a hair; it is drawn at least this high. */
const LOSS_LEAST_PIXELS = 3;
const BASELINE_PIXELS = 2;
const DOWN_STRIP_PIXELS = 4;

/** Under the lines: hatched where nobody looked, so that an empty stretch is not taken for a good one. */
export function paintBelow(chart: uPlot, columns: Columns, ink: ChartInk): void {
  const { ctx: context, bbox } = chart;
  context.save();
  context.beginPath();
  context.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  context.clip();
  for (const { from, to } of gapsOf(columns)) {
    const [left, right] = [edge(chart, columns, from), edge(chart, columns, to)];
    hatch(context, left, bbox.top, right - left, bbox.height, ink);
  }
  const strip = DOWN_STRIP_PIXELS * devicePixelRatio;
  context.fillStyle = ink.down;
  eachStep(chart, columns, (slot, left, width) => {
    const point = columns.points[slot];
    if (point && isDown(point))
      context.fillRect(left, bbox.top + bbox.height - strip, width, strip);
  });
  context.restore();
}

export function paintLoss(chart: uPlot, columns: Columns, ink: ChartInk): void {
  const { ctx: context, bbox } = chart;
  const bottom = bbox.top + bbox.height;
  context.save();
  eachStep(chart, columns, (slot, left, width) => {
    const point = columns.points[slot];
    if (!point || point.loss_permille === null) return;
    const loss = point.loss_permille;
    const high = bottom - chart.valToPos(loss, 'y', true);
    const least = (loss > 0 ? LOSS_LEAST_PIXELS : BASELINE_PIXELS) * devicePixelRatio;
    context.fillStyle = isDown(point) ? ink.down : loss > 0 ? ink.loss : ink.ok;
    const height = Math.max(least, high);
    context.fillRect(left, bottom - height, width, height);
  });
  context.restore();
}

function eachStep(
  chart: uPlot,
  columns: Columns,
  draw: (slot: number, left: number, width: number) => void,
): void {
  columns.points.forEach((_, slot) => {
    const left = edge(chart, columns, slot);
    // Never thinner than a device pixel, or single steps vanish over a month.
    draw(slot, left, Math.max(1, edge(chart, columns, slot + 1) - left));
  });
}

function edge(chart: uPlot, { times, stepSeconds }: Columns, slot: number): number {
  return Math.round(chart.valToPos(times[0] + slot * stepSeconds, 'x', true));
}

function hatch(
  context: CanvasRenderingContext2D,
  left: number,
  top: number,
  width: number,
  height: number,
  ink: ChartInk,
): void {
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.strokeStyle = ink.hatch;
  context.globalAlpha = 0.45;
  context.lineWidth = devicePixelRatio * 0.75;
  context.beginPath();
  const distance = HATCH_PIXELS * devicePixelRatio;
  // The lines begin on one raster, so that neighbouring gaps do not show a seam.
  const first = Math.floor((left - height) / distance) * distance;
  for (let x = first; x < left + width; x += distance) {
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
  }
  context.stroke();
  context.restore();
}
