/** Both directions of a pair over time, read again as new steps end. */

import { ApiProblem, messageOf, readSeries } from '../api/client';
import { refreshMs, toColumns, type Columns, type Range } from '../model/series';
import { session } from './session.svelte';

export type PairPhase = 'loading' | 'ready' | 'missing' | 'failed';

interface Question {
  source: string;
  target: string;
  range: Range;
  isOneWay: boolean;
  to: number;
}

export class PairHistory {
  phase = $state<PairPhase>('loading');
  message = $state('');
  /** There and, where the target measures too, back; both from the same answer, so that their steps are the same moments. */
  columns = $state.raw<[Columns, Columns | null] | null>(null);
  /** The range that `columns` is of, while another one is on its way. */
  shown = $state<Range | null>(null);
  /** True when the last attempt failed and what is shown is older than it should be. */
  isOld = $state(false);

  #pair = '';
  #run = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Follows the pair until the answer is called. */
  follow(
    source: string,
    target: string,
    range: Range,
    now: () => number,
    isOneWay = false,
  ): () => void {
    const run = (this.#run += 1);
    this.#forget(`${source}/${target}`);
    const read = async () => {
      await this.#read({ source, target, range, isOneWay, to: now() }, run);
      if (run === this.#run) this.#timer = setTimeout(read, refreshMs(range));
    };
    void read();
    return () => {
      this.#run += 1;
      clearTimeout(this.#timer);
    };
  }

  /** What is known of one pair must never stand under the name of another. */
  #forget(pair: string): void {
    if (pair === this.#pair) return;
    this.#pair = pair;
    this.columns = null;
    this.shown = null;
    this.isOld = false;
    this.phase = 'loading';
  }

  async #read({ source, target, range, isOneWay, to }: Question, run: number) {
    try {
      const both = await Promise.all([
        readSeries(source, target, range, to),
        isOneWay ? null : readSeries(target, source, range, to),
      ]);
      if (run !== this.#run) return;
      this.columns = [toColumns(both[0]), both[1] && toColumns(both[1])];
      this.shown = range;
      this.phase = 'ready';
      this.isOld = false;
    } catch (problem) {
      if (run === this.#run) this.#failed(problem);
    }
  }

  #failed(problem: unknown): void {
    this.message = messageOf(problem);
    const status = problem instanceof ApiProblem ? problem.status : 0;
    if (status === 401) return session.expire();
    if (status === 404) this.phase = 'missing';
    // What was shown stays, marked as old: the past does not change when the aggregator is away.
    else if (this.columns) this.isOld = true;
    else this.phase = 'failed';
  }
}
