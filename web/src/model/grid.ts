/** The matrix arranged for drawing: axes, lens and filter applied, pooled for every zoom. */

import { CLASS_NONE, classOf, type Lens } from './lens';
import type { LiveMatrix } from './live';
import type { Axis } from './order';
import { Pyramid } from './pyramid';
import type { Selection } from './filter';

/** At this zoom and below, a pointer cannot hit a single cell and is drawn to the worst one nearby. */
const AIM_HELP_BELOW = 5;
const AIM_RADIUS_PIXELS = 4;

export interface Position {
  column: number;
  row: number;
}

export class Grid {
  readonly pyramid: Pyramid;

  constructor(
    readonly matrix: LiveMatrix,
    readonly rows: Axis,
    readonly columns: Axis,
    readonly lens: Lens,
    readonly selection: Selection,
  ) {
    this.pyramid = new Pyramid(columns.agents.length, rows.agents.length);
    this.pyramid.fill((column, row) => this.#classAt(rows.agents[row], columns.agents[column]));
  }

  get rowCount(): number {
    return this.rows.agents.length;
  }

  get columnCount(): number {
    return this.columns.agents.length;
  }

  /** Takes in a changed cell of the matrix. */
  update(index: number, changed: (depth: number, column: number, row: number) => void): void {
    const { n } = this.matrix;
    const source = Math.floor(index / n);
    const target = index - source * n;
    const row = this.rows.positions[source];
    const column = this.columns.positions[target];
    if (row < 0 || column < 0) return;
    this.pyramid.set(column, row, this.#classAt(source, target), changed);
  }

  cellAt({ column, row }: Position): number {
    return this.matrix.cell(this.rows.agents[row], this.columns.agents[column]);
  }

  reverseAt({ column, row }: Position): number {
    return this.matrix.cell(this.columns.agents[column], this.rows.agents[row]);
  }

  classAt({ column, row }: Position): number {
    return this.pyramid.levels[0].classes[row * this.columnCount + column];
  }

  find(source: number, target: number): Position | null {
    const row = this.rows.positions[source] ?? -1;
    const column = this.columns.positions[target] ?? -1;
    return row < 0 || column < 0 ? null : { column, row };
  }

  /** The cell meant by a pointer at a position, helped towards trouble when cells are tiny. */
  aim(column: number, row: number, scale: number): Position {
    const exact = { column, row };
    if (scale >= AIM_HELP_BELOW) return exact;
    const reach = Math.ceil(AIM_RADIUS_PIXELS / scale);
    let best = exact;
    let worst = this.classAt(exact);
    for (let y = Math.max(0, row - reach); y <= Math.min(this.rowCount - 1, row + reach); y += 1) {
      const last = Math.min(this.columnCount - 1, column + reach);
      for (let x = Math.max(0, column - reach); x <= last; x += 1) {
        const severity = this.classAt({ column: x, row: y });
        if (severity <= worst) continue;
        worst = severity;
        best = { column: x, row: y };
      }
    }
    return best;
  }

  #classAt(source: number, target: number): number {
    const cell = this.matrix.cell(source, target);
    return this.selection.has(source, target, cell) ? classOf(cell, this.lens) : CLASS_NONE;
  }
}
