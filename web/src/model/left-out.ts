/** What is left out of the picture. How it follows from the configuration comes later than the picture: `./excluded`. */

export interface Excluded {
  /** By the number of a cell. */
  hasCell(at: number): boolean;
  /** By index: nobody measures them, and they nobody. */
  leftOut: ReadonlySet<number>;
}

export const NOTHING_EXCLUDED: Excluded = { hasCell: () => false, leftOut: new Set() };
