/** Cells that are large enough to be seen one by one: tiles, glyphs and numbers. */

import { formatLoss, formatRttShort } from '../../model/format';
import { lossPermille, rttMicros, stateName } from '../../model/cell';
import { CLASS_DOWN, CLASS_NONE, CLASS_SELF, CLASS_UNKNOWN } from '../../model/lens';
import type { Grid, Position } from '../../model/grid';
import { visible, type Box, type Viewport } from '../../model/viewport';
import { isWorseThanReverse } from '../../model/worst';
import type { Ink, Swatch } from './ink';

/** Below this no glyph can be told from another. */
export const GLYPHS_FROM = 9;
/** From this height on every cell is a tile of its own, with a gap around it. */
export const TILES_FROM = 20;
const NUMBERS_FROM_WIDTH = 40;
const NUMBERS_FROM_HEIGHT = 24;

export interface Palette {
  ink: Ink;
  swatches: Swatch[];
  font: string;
}

interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Glyphs over the picture of cells, or whole tiles in its stead. */
export function drawCells(
  context: CanvasRenderingContext2D,
  grid: Grid,
  view: Viewport,
  box: Box,
  palette: Palette,
): void {
  const tiled = view.scaleY >= TILES_FROM;
  const columns = visible(view.x, view.scaleX, box.width, grid.columnCount);
  const rows = visible(view.y, view.scaleY, box.height, grid.rowCount);
  for (let row = rows.start; row < rows.end; row += 1) {
    for (let column = columns.start; column < columns.end; column += 1) {
      const position = { column, row };
      const kind = grid.classAt(position);
      if (kind === CLASS_NONE) continue;
      const place = placeOf(position, view, tiled ? 1.5 : 0);
      if (tiled) drawTile(context, place, palette.swatches[kind].css);
      drawGlyph(context, grid, position, kind, place, palette);
    }
  }
}

export function placeOf({ column, row }: Position, view: Viewport, gap: number): Place {
  return {
    x: (column - view.x) * view.scaleX + gap,
    y: (row - view.y) * view.scaleY + gap,
    width: view.scaleX - 2 * gap,
    height: view.scaleY - 2 * gap,
  };
}

function drawTile(context: CanvasRenderingContext2D, place: Place, colour: string): void {
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(place.x, place.y, place.width, place.height, Math.min(5, place.height / 8));
  context.fill();
}

function drawGlyph(
  context: CanvasRenderingContext2D,
  grid: Grid,
  position: Position,
  kind: number,
  place: Place,
  palette: Palette,
): void {
  if (kind === CLASS_SELF) return;
  const { ink } = palette.swatches[kind];
  if (kind === CLASS_UNKNOWN) drawHatch(context, place, palette.ink.surface);
  else if (kind === CLASS_DOWN) drawCross(context, place, ink);
  else drawNumber(context, grid, position, place, palette, ink);
  const cell = grid.cellAt(position);
  if (isWorseThanReverse(cell, grid.reverseAt(position))) drawCorner(context, place, ink);
}

function drawCross(context: CanvasRenderingContext2D, place: Place, ink: string): void {
  const reach = Math.min(place.width, place.height) * 0.22;
  const x = place.x + place.width / 2;
  const y = place.y + place.height / 2;
  context.strokeStyle = ink;
  context.lineWidth = Math.max(1.2, reach / 3.2);
  context.lineCap = 'round';
  context.beginPath();
  context.moveTo(x - reach, y - reach);
  context.lineTo(x + reach, y + reach);
  context.moveTo(x + reach, y - reach);
  context.lineTo(x - reach, y + reach);
  context.stroke();
}

/** "We do not know" must not be mistaken for a colour of the scale, so it is a texture. */
function drawHatch(context: CanvasRenderingContext2D, place: Place, ink: string): void {
  const spacing = place.height >= TILES_FROM ? 7 : 4;
  context.save();
  context.beginPath();
  context.rect(place.x, place.y, place.width, place.height);
  context.clip();
  context.globalAlpha = 0.55;
  context.strokeStyle = ink;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let offset = spacing; offset < place.width + place.height; offset += spacing) {
    context.moveTo(place.x + offset, place.y);
    context.lineTo(place.x + offset - place.height, place.y + place.height);
  }
  context.stroke();
  context.restore();
}

function drawCorner(context: CanvasRenderingContext2D, place: Place, ink: string): void {
  const side = Math.max(3, Math.min(9, place.height * 0.24));
  const inset = place.height >= TILES_FROM ? 3 : 0.5;
  const right = place.x + place.width - inset;
  const top = place.y + inset;
  context.fillStyle = ink;
  context.beginPath();
  context.moveTo(right - side, top);
  context.lineTo(right, top);
  context.lineTo(right, top + side);
  context.fill();
}

function drawNumber(
  context: CanvasRenderingContext2D,
  grid: Grid,
  position: Position,
  place: Place,
  palette: Palette,
  ink: string,
): void {
  if (place.width < NUMBERS_FROM_WIDTH || place.height < NUMBERS_FROM_HEIGHT) return;
  const cell = grid.cellAt(position);
  const loss = lossPermille(cell);
  // In Health the number explains the colour: a healthy cell shows its time, also while losses of a fault that has ended are
  // still among the last minute's.
  const explainsLoss = grid.lens === 'health' && stateName(cell) === 'lossy' && (loss ?? 0) > 0;
  const showsLoss = grid.lens === 'loss' || explainsLoss;
  const text = showsLoss ? formatLoss(loss) : formatRttShort(rttMicros(cell));
  const size = place.width >= 56 && place.height >= 32 ? 13 : 11;
  context.font = `${size}px ${palette.font}`;
  context.textAlign = 'center';
  context.textBaseline = 'middle';
  context.fillStyle = ink;
  context.globalAlpha = 0.9;
  context.fillText(text, place.x + place.width / 2, place.y + place.height / 2 + 0.5);
  context.globalAlpha = 1;
}
