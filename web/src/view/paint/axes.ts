/** Labels of rows and columns, sites as brackets, and lines where one site meets the next. */

import { AGENT_LABEL_FROM, LABEL_MAX, TITLE, type Gutters } from '../../model/gutter';
import type { Grid } from '../../model/grid';
import type { AgentLabel, Axis, Block } from '../../model/order';
import { visible, type Box, type Viewport } from '../../model/viewport';
import type { Palette } from './tiles';

const LINE_HEIGHT = 14;

/** Draws with the origin at the corner of the whole canvas; cells begin at (left, top). */
export function drawAxes(
  context: CanvasRenderingContext2D,
  grid: Grid,
  agents: AgentLabel[],
  view: Viewport,
  box: Box,
  gutters: Gutters,
  palette: Palette,
): void {
  context.textBaseline = 'middle';
  drawTitles(context, box, gutters, palette);
  clipped(context, 0, gutters.top, gutters.left, box.height, () => {
    context.translate(0, gutters.top);
    drawRows(context, grid.rows, agents, view, box, gutters, palette);
  });
  clipped(context, gutters.left, 0, box.width, gutters.top, () => {
    context.translate(gutters.left, 0);
    drawColumns(context, grid.columns, agents, view, box, gutters, palette);
  });
}

/** Lines between sites, across the cells. Called with the origin at the first cell. */
export function drawSeparators(
  context: CanvasRenderingContext2D,
  grid: Grid,
  view: Viewport,
  box: Box,
  palette: Palette,
): void {
  const right = Math.min(box.width, (grid.columnCount - view.x) * view.scaleX);
  const bottom = Math.min(box.height, (grid.rowCount - view.y) * view.scaleY);
  context.strokeStyle = palette.ink.line;
  context.lineWidth = 1;
  context.beginPath();
  for (const { start } of grid.columns.blocks.slice(1)) {
    const x = Math.round((start - view.x) * view.scaleX) + 0.5;
    context.moveTo(x, 0);
    context.lineTo(x, bottom);
  }
  for (const { start } of grid.rows.blocks.slice(1)) {
    const y = Math.round((start - view.y) * view.scaleY) + 0.5;
    context.moveTo(0, y);
    context.lineTo(right, y);
  }
  // Between tiny cells full lines would be the loudest thing in the picture.
  context.globalAlpha = view.scaleY < AGENT_LABEL_FROM ? 0.45 : 1;
  context.stroke();
  context.globalAlpha = 1;
}

function drawTitles(
  context: CanvasRenderingContext2D,
  box: Box,
  gutters: Gutters,
  palette: Palette,
): void {
  context.fillStyle = palette.ink.muted;
  context.font = `11px ${palette.font}`;
  context.textAlign = 'left';
  context.fillText('columns receive →', gutters.left + 2, TITLE / 2);
  context.save();
  context.translate(TITLE / 2, Math.min(gutters.top + 64, gutters.top + box.height));
  context.rotate(-Math.PI / 2);
  context.fillText('← rows send', 0, 0);
  context.restore();
}

function drawRows(
  context: CanvasRenderingContext2D,
  axis: Axis,
  agents: AgentLabel[],
  view: Viewport,
  box: Box,
  gutters: Gutters,
  palette: Palette,
): void {
  if (gutters.siteWidth > 0) {
    for (const { block, from, to } of spans(axis.blocks, view.y, view.scaleY, box.height)) {
      drawRowSite(context, block.site, TITLE + gutters.siteWidth - 3, from, to, palette);
    }
  }
  if (view.scaleY < AGENT_LABEL_FROM) return;
  context.font = labelFont(view.scaleY, palette);
  context.fillStyle = palette.ink.label;
  context.textAlign = 'right';
  const { start, end } = visible(view.y, view.scaleY, box.height, axis.agents.length);
  for (let row = start; row < end; row += 1) {
    const y = (row + 0.5 - view.y) * view.scaleY;
    context.fillText(cut(context, agents[axis.agents[row]].name), gutters.left - 7, y);
  }
}

function drawColumns(
  context: CanvasRenderingContext2D,
  axis: Axis,
  agents: AgentLabel[],
  view: Viewport,
  box: Box,
  gutters: Gutters,
  palette: Palette,
): void {
  if (gutters.siteHeight > 0) {
    const blocks = spans(axis.blocks, view.x, view.scaleX, box.width);
    let free = 0;
    for (const span of blocks) {
      const isLast = span === blocks.at(-1);
      free = drawColumnSite(context, span, TITLE + gutters.siteHeight - 3, free, isLast, palette);
    }
  }
  if (view.scaleY < AGENT_LABEL_FROM) return;
  context.font = labelFont(Math.min(view.scaleX, view.scaleY), palette);
  context.fillStyle = palette.ink.label;
  const { start, end } = visible(view.x, view.scaleX, box.width, axis.agents.length);
  for (let column = start; column < end; column += 1) {
    const x = (column + 0.5 - view.x) * view.scaleX;
    const name = cut(context, agents[axis.agents[column]].name);
    context.save();
    context.translate(x, gutters.top - (gutters.isFlat ? 11 : 6));
    if (!gutters.isFlat) context.rotate(-Math.PI / 2);
    context.textAlign = gutters.isFlat ? 'center' : 'left';
    context.fillText(name, 0, 0);
    context.restore();
  }
}

interface Span {
  block: Block;
  from: number;
  to: number;
}

/** The visible part of each site in pixels, so that its name stays in view while scrolling. */
function spans(blocks: Block[], offset: number, scale: number, pixels: number): Span[] {
  return blocks
    .map((block) => ({
      block,
      from: Math.max(0, (block.start - offset) * scale),
      to: Math.min(pixels, (block.end - offset) * scale),
    }))
    .filter(({ from, to }) => to > from);
}

function drawRowSite(
  context: CanvasRenderingContext2D,
  site: string,
  line: number,
  from: number,
  to: number,
  palette: Palette,
): void {
  const inset = insetOf(from, to);
  bracket(context, palette, line, from + inset, line, to - inset);
  if (to - from < LINE_HEIGHT) return;
  context.textAlign = 'right';
  context.fillText(cut(context, site), line - 6, (from + to) / 2);
}

/** Where the room of its name ends. One that does not fit is left out rather than printed over its neighbour's. */
function drawColumnSite(
  context: CanvasRenderingContext2D,
  { block, from, to }: Span,
  line: number,
  free: number,
  isLast: boolean,
  palette: Palette,
): number {
  if (block.site === '') return free;
  const inset = insetOf(from, to);
  bracket(context, palette, from + inset, line, to - inset, line);
  const name = cut(context, block.site);
  const width = context.measureText(name).width;
  // The last one may begin before its first column, for endpoints are few and nothing else says what they are.
  const start = isLast ? Math.min((from + to - width) / 2, to - width) : (from + to - width) / 2;
  if (start < (isLast ? free : from + 1)) return free;
  context.textAlign = 'left';
  context.fillText(name, start, TITLE + 7);
  return start + width + 6;
}

function insetOf(from: number, to: number): number {
  return Math.min(3, (to - from) / 6);
}

function bracket(
  context: CanvasRenderingContext2D,
  palette: Palette,
  x: number,
  y: number,
  toX: number,
  toY: number,
): void {
  context.strokeStyle = palette.ink.line;
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  context.stroke();
  context.font = `600 11px ${palette.font}`;
  context.fillStyle = palette.ink.muted;
}

function labelFont(cell: number, palette: Palette): string {
  return `${cell >= 18 ? 12 : 10}px ${palette.font}`;
}

export function cut(context: CanvasRenderingContext2D, text: string): string {
  if (context.measureText(text).width <= LABEL_MAX) return text;
  let kept = text;
  while (kept.length > 1 && context.measureText(`${kept}…`).width > LABEL_MAX) {
    kept = kept.slice(0, -1);
  }
  return `${kept}…`;
}

function clipped(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  width: number,
  height: number,
  draw: () => void,
): void {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  draw();
  context.restore();
}
