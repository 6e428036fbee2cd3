/**
 * One filter for both views. "alpha" keeps the pairs that touch alpha at either end; "alpha > beta" those
 * from alpha to beta, and either side may be left out. Words match the agent's name or its site.
 */

import { isPair, stateName, PAIR_STATES, type PairState } from './cell';
import type { AgentLabel } from './order';

export interface Filter {
  text: string;
  /** Empty means every state. */
  states: PairState[];
}

export const NO_FILTER: Filter = { text: '', states: [] };

export class Selection {
  readonly #sources: boolean[] | null = null;
  readonly #targets: boolean[] | null = null;
  readonly #either: boolean[] | null = null;
  readonly #states: ReadonlySet<string> | null;

  constructor(filter: Filter, agents: AgentLabel[]) {
    this.#states = filter.states.length > 0 ? new Set(filter.states) : null;
    const text = filter.text.trim().toLowerCase();
    const arrow = text.search(/>|→/);
    if (arrow >= 0) {
      this.#sources = matches(text.slice(0, arrow), agents);
      this.#targets = matches(text.slice(arrow + 1), agents);
    } else {
      this.#either = matches(text, agents);
    }
  }

  /** Whether the agent has a row; only an arrow narrows the axes, a plain word keeps whole rows. */
  hasRow(source: number): boolean {
    return this.#sources?.[source] ?? true;
  }

  hasColumn(target: number): boolean {
    return this.#targets?.[target] ?? true;
  }

  hasEnds(source: number, target: number): boolean {
    if (this.#either) return this.#either[source] || this.#either[target];
    return this.hasRow(source) && this.hasColumn(target);
  }

  has(source: number, target: number, cell: number): boolean {
    if (!this.hasEnds(source, target)) return false;
    return this.#states === null || (isPair(cell) && this.#states.has(stateName(cell)));
  }
}

/** `null` when there is nothing to match, which keeps everything. */
function matches(text: string, agents: AgentLabel[]): boolean[] | null {
  const words = text.split(/\s+/).filter((word) => word !== '');
  if (words.length === 0) return null;
  return agents.map(({ name, site }) => {
    const haystack = `${name} ${site}`.toLowerCase();
    return words.every((word) => haystack.includes(word));
  });
}

export function parseStates(text: string): PairState[] {
  const wanted = text.split(',');
  return PAIR_STATES.filter((state) => wanted.includes(state));
}
