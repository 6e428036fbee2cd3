/**
 * One filter for both views. "alpha" keeps the pairs that touch alpha at either end; "alpha > beta" those
 * from alpha to beta, and either side may be left out; "alpha <> beta" those and the ones back. Words match
 * the agent's name, its site or a tag.
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
  /** Pairs from the targets to the sources are meant as well. */
  readonly #isBothWays: boolean = false;
  readonly #states: ReadonlySet<string> | null;

  constructor(filter: Filter, agents: AgentLabel[]) {
    this.#states = filter.states.length > 0 ? new Set(filter.states) : null;
    const text = filter.text.trim().toLowerCase();
    const [left, arrow, right] = /^(.*?)(<>|>|→|↔)(.*)$/.exec(text)?.slice(1) ?? [];
    if (arrow === undefined) {
      this.#either = matches(text, agents);
    } else {
      this.#isBothWays = arrow === '<>' || arrow === '↔';
      this.#sources = matches(left, agents);
      this.#targets = matches(right, agents);
    }
  }

  /** Whether the agent has a row; only an arrow narrows the axes, a plain word keeps whole rows. */
  hasRow(source: number): boolean {
    return this.#sends(source) || (this.#isBothWays && this.#receives(source));
  }

  hasColumn(target: number): boolean {
    return this.#receives(target) || (this.#isBothWays && this.#sends(target));
  }

  hasEnds(source: number, target: number): boolean {
    if (this.#either) return this.#either[source] || this.#either[target];
    const isForth = this.#sends(source) && this.#receives(target);
    return isForth || (this.#isBothWays && this.#sends(target) && this.#receives(source));
  }

  #sends(agent: number): boolean {
    return this.#sources?.[agent] ?? true;
  }

  #receives(agent: number): boolean {
    return this.#targets?.[agent] ?? true;
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
  return agents.map(({ name, site, tags = [] }) => {
    const haystack = `${name} ${site} ${tags.join(' ')}`.toLowerCase();
    return words.every((word) => haystack.includes(word));
  });
}

export function parseStates(text: string): PairState[] {
  const wanted = text.split(',');
  return PAIR_STATES.filter((state) => wanted.includes(state));
}
