/** Keys of the matrix: where the focus goes from a cell. */

import type { Grid, Position } from '../model/grid';

const PAGE = 10;

const STEPS: Record<string, [columns: number, rows: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  PageUp: [0, -PAGE],
  PageDown: [0, PAGE],
  Home: [-Infinity, 0],
  End: [Infinity, 0],
};

/** The next focus, or `null` for a key that does not move it. */
export function moveFocus(key: string, from: Position | null, grid: Grid): Position | null {
  const step = STEPS[key];
  if (!step || grid.columnCount === 0 || grid.rowCount === 0) return null;
  // The first key shows where the focus is instead of moving away from a place nobody saw.
  if (!from) return { column: 0, row: 0 };
  return {
    column: within(from.column + step[0], grid.columnCount),
    row: within(from.row + step[1], grid.rowCount),
  };
}

function within(value: number, count: number): number {
  return Math.min(count - 1, Math.max(0, value));
}
