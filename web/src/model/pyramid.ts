/**
 * The matrix at every zoom. Level 0 is one class per cell in display order; each further level halves both
 * sides and keeps the *worst* of four. Drawing picks the level with at least one pixel per block, so a
 * single broken pair among a million stays visible, which nearest-neighbour scaling would drop.
 */

export interface Level {
  columns: number;
  rows: number;
  classes: Uint8Array;
}

export class Pyramid {
  readonly levels: Level[] = [];

  constructor(columns: number, rows: number) {
    let level = blank(columns, rows);
    this.levels.push(level);
    while (level.columns > 1 || level.rows > 1) {
      level = blank(Math.ceil(level.columns / 2), Math.ceil(level.rows / 2));
      this.levels.push(level);
    }
  }

  /** Fills level 0 and pools upwards: 4/3 of the cells are visited once. */
  fill(classAt: (column: number, row: number) => number): void {
    const base = this.levels[0];
    for (let row = 0, at = 0; row < base.rows; row += 1) {
      for (let column = 0; column < base.columns; column += 1, at += 1) {
        base.classes[at] = classAt(column, row);
      }
    }
    for (let depth = 1; depth < this.levels.length; depth += 1) this.#pool(depth);
  }

  /** Writes one cell; `changed` is told of each block that differs now, level by level. */
  set(
    column: number,
    row: number,
    value: number,
    changed: (depth: number, column: number, row: number) => void,
  ): void {
    let x = column;
    let y = row;
    let next = value;
    for (let depth = 0; depth < this.levels.length; depth += 1) {
      const level = this.levels[depth];
      const at = y * level.columns + x;
      // An unchanged block cannot change its parents.
      if (level.classes[at] === next) return;
      level.classes[at] = next;
      changed(depth, x, y);
      x >>= 1;
      y >>= 1;
      next = worstOfFour(level, x * 2, y * 2);
    }
  }

  /** The finest level whose blocks cover at least one pixel each, at `scale` pixels per cell. */
  depthFor(scale: number): number {
    let depth = 0;
    while (scale * 2 ** depth < 1 && depth < this.levels.length - 1) depth += 1;
    return depth;
  }

  #pool(depth: number): void {
    const below = this.levels[depth - 1];
    const level = this.levels[depth];
    for (let row = 0, at = 0; row < level.rows; row += 1) {
      for (let column = 0; column < level.columns; column += 1, at += 1) {
        level.classes[at] = worstOfFour(below, column * 2, row * 2);
      }
    }
  }
}

function blank(columns: number, rows: number): Level {
  return { columns, rows, classes: new Uint8Array(columns * rows) };
}

function worstOfFour(level: Level, column: number, row: number): number {
  const { columns, rows, classes } = level;
  const at = row * columns + column;
  const right = column + 1 < columns;
  let worst = classes[at];
  if (right && classes[at + 1] > worst) worst = classes[at + 1];
  if (row + 1 < rows) {
    if (classes[at + columns] > worst) worst = classes[at + columns];
    if (right && classes[at + columns + 1] > worst) worst = classes[at + columns + 1];
  }
  return worst;
}
