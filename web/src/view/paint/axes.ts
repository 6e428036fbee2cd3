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
      drawSite(context, block.site, gutters.siteWidth, TITLE, from, to, palette, false);
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
    for (const { block, from, to } of spans(axis.blocks, view.x, view.scaleX, box.width)) {
      drawSite(context, block.site, gutters.siteHeight, TITLE, from, to, palette, true);
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

function drawSite(
  context: CanvasRenderingContext2D,
  site: string,
  depth: number,
  edge: number,
  from: number,
  to: number,
  palette: Palette,
  isColumn: boolean,
): void {
  const room = to - from;
  const line = edge + depth - 3;
  context.strokeStyle = palette.ink.line;
  context.lineWidth = 1.5;
  context.beginPath();
  const inset = Math.min(3, room / 6);
  if (isColumn) {
    context.moveTo(from + inset, line);
    context.lineTo(to - inset, line);
  } else {
    context.moveTo(line, from + inset);
    context.lineTo(line, to - inset);
  }
  context.stroke();
  context.font = `600 11px ${palette.font}`;
  context.fillStyle = palette.ink.muted;
  context.textAlign = 'center';
  const middle = (from + to) / 2;
  if (isColumn) {
    // A name that does not fit is left out rather than printed over its neighbour's.
    const name = cut(context, site);
    if (context.measureText(name).width <= room - 2) context.fillText(name, middle, edge + 7);
  } else if (room >= LINE_HEIGHT) {
    context.textAlign = 'right';
    context.fillText(cut(context, site), line - 6, middle);
  }
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
