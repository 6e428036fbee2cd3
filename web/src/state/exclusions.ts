/** What the configuration in force leaves out, read again while the page is looked at. */

import { readConfig } from '../api/config';
import { excludedBy, type Exclusions, type KeyedAgent } from '../model/excluded';
import type { Excluded } from '../model/left-out';

const EVERY_MS = 15_000;

export class ExclusionReader {
  #exclude: Exclusions = [];

  #readAt = -Infinity;
  #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  among(agents: readonly KeyedAgent[]): Excluded {
    return excludedBy(this.#exclude, agents);
  }

  tick(): void {
    if (performance.now() - this.#readAt >= EVERY_MS && !document.hidden) void this.#read();
  }

  async #read(): Promise<void> {
    this.#readAt = performance.now();
    try {
      const { exclude } = (await readConfig()).config;
      if (JSON.stringify(exclude) === JSON.stringify(this.#exclude)) return;
      this.#exclude = exclude;
      this.#changed();
    } catch {
      // What was left out stays so; the matrix itself tells how the connection is, and an ended session.
    }
  }
}
