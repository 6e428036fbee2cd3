/** Where the matrix lies on the screen: cells to pixels and back, zoom, pan, and their limits. */

export interface Box {
  width: number;
  height: number;
}

export interface Viewport {
  /** CSS pixels per cell. */
  scaleX: number;
  scaleY: number;
  /** The cell position at the left and top edge; fractions are part of a cell. */
  x: number;
  y: number;
}

/** Large enough for two short numbers, small enough that nine agents do not shout. */
const CELL_MAX_WIDTH = 100;
const CELL_MAX_HEIGHT = 62;
/** Cells may be wider than high, because screens and numbers are. */
const ASPECT_MAX = 1.7;
/** From this size a cell shows its number, so zooming further in shows nothing more. */
const ZOOMED_CELL = 48;
/** Below this a cell is too small to aim at, and zoom is offered. */
const ZOOM_WORTH_BELOW = 24;

export function fit(box: Box, columns: number, rows: number): Viewport {
  const widest = box.width / Math.max(1, columns);
  const scaleY = Math.min(CELL_MAX_HEIGHT, widest, box.height / Math.max(1, rows));
  const scaleX = Math.min(CELL_MAX_WIDTH, widest, scaleY * ASPECT_MAX);
  return { scaleX, scaleY, x: 0, y: 0 };
}

/** The height at which the cells fill the width; more would stay empty. */
export function fullHeight(width: number, columns: number, rows: number): number {
  return fit({ width, height: Infinity }, columns, rows).scaleY * rows;
}

export function canZoom(box: Box, columns: number, rows: number): boolean {
  return fit(box, columns, rows).scaleY < ZOOM_WORTH_BELOW;
}

/** Keeps the cell under (pointX, pointY) where it is. */
export function zoomAt(
  view: Viewport,
  factor: number,
  pointX: number,
  pointY: number,
  box: Box,
  columns: number,
  rows: number,
): Viewport {
  const whole = fit(box, columns, rows);
  const most = Math.max(1, ZOOMED_CELL / whole.scaleY);
  const now = view.scaleY / whole.scaleY;
  const next = Math.min(most, Math.max(1, now * factor));
  const scaleX = whole.scaleX * next;
  const scaleY = whole.scaleY * next;
  const x = view.x + pointX / view.scaleX - pointX / scaleX;
  const y = view.y + pointY / view.scaleY - pointY / scaleY;
  return clamp({ scaleX, scaleY, x, y }, box, columns, rows);
}

export function panBy(
  view: Viewport,
  pixelsX: number,
  pixelsY: number,
  box: Box,
  columns: number,
  rows: number,
): Viewport {
  const moved = { ...view, x: view.x - pixelsX / view.scaleX, y: view.y - pixelsY / view.scaleY };
  return clamp(moved, box, columns, rows);
}

/** Scrolls just far enough that the cell is wholly visible. */
export function reveal(
  view: Viewport,
  column: number,
  row: number,
  box: Box,
  columns: number,
  rows: number,
): Viewport {
  const wide = box.width / view.scaleX;
  const high = box.height / view.scaleY;
  const x = Math.min(column, Math.max(view.x, column + 1 - wide));
  const y = Math.min(row, Math.max(view.y, row + 1 - high));
  return clamp({ ...view, x, y }, box, columns, rows);
}

export function clamp(view: Viewport, box: Box, columns: number, rows: number): Viewport {
  const spareX = Math.max(0, columns - box.width / view.scaleX);
  const spareY = Math.max(0, rows - box.height / view.scaleY);
  const x = Math.min(spareX, Math.max(0, view.x));
  const y = Math.min(spareY, Math.max(0, view.y));
  return { ...view, x, y };
}

/** The half-open range of cells that are at least partly visible. */
export function visible(from: number, scale: number, pixels: number, count: number) {
  return { start: Math.floor(from), end: Math.min(count, Math.ceil(from + pixels / scale)) };
}
