/** What the pointer, the keyboard and the selection point at; on a canvas of its own, so that moving the pointer repaints no cell. */

import type { Position } from '../../model/grid';
import type { Gutters } from '../../model/gutter';
import type { Box, Viewport } from '../../model/viewport';
import { placeOf, TILES_FROM, type Palette } from './tiles';

export interface Marks {
  hover: Position | null;
  focus: Position | null;
  selected: Position | null;
}

/** Below this cell size a frame alone is lost, and hairlines lead the eye to it. */
const CROSSHAIR_BELOW = 12;

export function drawOverlay(
  context: CanvasRenderingContext2D,
  marks: Marks,
  view: Viewport,
  box: Box,
  gutters: Gutters,
  palette: Palette,
): void {
  for (const mark of [marks.hover, marks.focus]) {
    if (mark) drawBands(context, mark, view, box, gutters, palette);
  }
  context.save();
  context.beginPath();
  context.rect(gutters.left - 4, gutters.top - 4, box.width + 8, box.height + 8);
  context.clip();
  context.translate(gutters.left, gutters.top);
  if (marks.hover) {
    if (view.scaleY < CROSSHAIR_BELOW) drawCrosshair(context, marks.hover, view, box, palette);
    drawFrame(context, marks.hover, view, palette, 1);
  }
  if (marks.selected) drawFrame(context, marks.selected, view, palette, 2);
  if (marks.focus) drawFrame(context, marks.focus, view, palette, 2);
  context.restore();
}

/** Lights up the two labels that name the cell. */
function drawBands(
  context: CanvasRenderingContext2D,
  mark: Position,
  view: Viewport,
  box: Box,
  gutters: Gutters,
  palette: Palette,
): void {
  const place = placeOf(mark, view, 0);
  const tall = Math.max(3, place.height);
  const wide = Math.max(3, place.width);
  context.fillStyle = palette.ink.highlight;
  const left = gutters.siteWidth + 18;
  const top = gutters.siteHeight + 18;
  if (place.y >= -tall && place.y < box.height) {
    context.fillRect(left, gutters.top + place.y, gutters.left - left, tall);
  }
  if (place.x >= -wide && place.x < box.width) {
    context.fillRect(gutters.left + place.x, top, wide, gutters.top - top);
  }
}

function drawCrosshair(
  context: CanvasRenderingContext2D,
  mark: Position,
  view: Viewport,
  box: Box,
  palette: Palette,
): void {
  const place = placeOf(mark, view, 0);
  const x = Math.round(place.x + place.width / 2);
  const y = Math.round(place.y + place.height / 2);
  const gap = Math.max(6, place.height);
  for (const [colour, shift] of [
    [palette.ink.outer, 0],
    [palette.ink.inner, 1],
  ] as const) {
    context.fillStyle = colour;
    context.globalAlpha = 0.75;
    context.fillRect(0, y + shift, x - gap, 1);
    context.fillRect(x + gap, y + shift, box.width - x - gap, 1);
    context.fillRect(x + shift, 0, 1, y - gap);
    context.fillRect(x + shift, y + gap, 1, box.height - y - gap);
  }
  context.globalAlpha = 1;
}

/** Outside the cell, so that its own colour stays readable. */
function drawFrame(
  context: CanvasRenderingContext2D,
  mark: Position,
  view: Viewport,
  palette: Palette,
  weight: number,
): void {
  const gap = view.scaleY >= TILES_FROM ? 0.5 : -1.5;
  const place = placeOf(mark, view, gap);
  const radius = view.scaleY >= TILES_FROM ? 6 : 1;
  context.lineWidth = weight + 2;
  context.strokeStyle = palette.ink.inner;
  outline(context, place, radius);
  context.lineWidth = weight;
  context.strokeStyle = palette.ink.outer;
  outline(context, place, radius);
}

function outline(
  context: CanvasRenderingContext2D,
  place: ReturnType<typeof placeOf>,
  radius: number,
): void {
  context.beginPath();
  context.roundRect(place.x, place.y, place.width, place.height, radius);
  context.stroke();
}
