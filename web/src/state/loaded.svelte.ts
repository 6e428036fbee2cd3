/** What a page asked the aggregator for, and how that went. */

import { untrack } from 'svelte';
import { ApiProblem, messageOf } from '../api/client';
import { session } from './session.svelte';

export type LoadPhase = 'loading' | 'ready' | 'failed' | 'forbidden';

export class Loaded<T> {
  phase = $state<LoadPhase>('loading');
  value = $state.raw<T | null>(null);
  message = $state('');
  /** True while the answer to another question than that of `value` is on its way. */
  isBusy = $state(false);
  /** True when the last attempt failed, and `value` is older than it should be. */
  isOld = $state(false);

  #run = 0;
  #question = '';
  #answered = '';
  #read: (() => Promise<T>) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Asks, and again each `everyMs` where that is given, until the answer is called: `$effect(() => it.ask(…))`. */
  ask(question: string, read: () => Promise<T>, everyMs?: number): () => void {
    return untrack(() => {
      this.#question = question;
      this.#read = read;
      this.isBusy = question !== this.#answered;
      const repeat = async () => {
        await this.again();
        if (everyMs !== undefined && this.#read === read) this.#timer = setTimeout(repeat, everyMs);
      };
      void repeat();
      return () => {
        this.#run += 1;
        this.#read = null;
        clearTimeout(this.#timer);
      };
    });
  }

  /** The same question once more, after something was changed or the reader wants to try again. */
  async again(): Promise<void> {
    const read = this.#read;
    if (!read) return;
    const run = (this.#run += 1);
    if (this.phase === 'failed') this.phase = 'loading';
    try {
      const value = await read();
      if (run === this.#run) this.#keep(value);
    } catch (problem) {
      if (run === this.#run) this.#failed(problem);
    }
  }

  #keep(value: T): void {
    this.value = value;
    this.#answered = this.#question;
    this.phase = 'ready';
    this.isBusy = false;
    this.isOld = false;
  }

  #failed(problem: unknown): void {
    this.message = messageOf(problem);
    this.isBusy = false;
    const status = problem instanceof ApiProblem ? problem.status : 0;
    if (status === 401) return session.expire();
    const isKept = this.value !== null && this.#answered === this.#question && status !== 403;
    // What was shown stays, marked as old; the answer to another question must not.
    if (isKept) this.isOld = true;
    else {
      this.value = null;
      this.phase = status === 403 ? 'forbidden' : 'failed';
    }
  }
}
