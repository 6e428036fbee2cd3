/** What is open now, for the badge in the navigation, the overview and the page of incidents: asked once for all. */

import { ApiProblem, messageOf } from '../api/client';
import { LIMIT_MAX, readIncidents, type Incident } from '../api/alerts';
import { byUrgency, isDue } from '../model/incident';
import { session } from './session.svelte';

class OpenIncidents {
  /** `null` until it was answered once. */
  all = $state.raw<Incident[] | null>(null);
  message = $state('');
  /** True when the last question failed, and `all` is older than it should be. */
  isOld = $state(false);

  #askedAt = -Infinity;
  #stirredAt = -Infinity;
  #troubled = -1;
  #run = 0;

  /** A new reader begins with nothing of the one before. */
  clear(): void {
    this.#run += 1;
    this.all = null;
    this.isOld = false;
    this.message = '';
    this.#askedAt = -Infinity;
  }

  /** Called twice a second with how many pairs are in trouble; asks when it is time. */
  tick(now: number, troubled: number): void {
    if (troubled !== this.#troubled) {
      if (this.#troubled >= 0) this.#stirredAt = now;
      this.#troubled = troubled;
    }
    if (!document.hidden && isDue(now, this.#askedAt, this.#stirredAt)) void this.again();
  }

  async again(): Promise<void> {
    this.#askedAt = performance.now();
    const run = (this.#run += 1);
    try {
      const { incidents } = await readIncidents({ state: 'open', limit: LIMIT_MAX });
      if (run !== this.#run) return;
      this.all = byUrgency(incidents);
      this.isOld = false;
      this.message = '';
    } catch (problem) {
      if (run !== this.#run) return;
      const status = problem instanceof ApiProblem ? problem.status : 0;
      if (status === 401) return session.expire();
      this.message = messageOf(problem);
      this.isOld = this.all !== null;
    }
  }
}

export const openIncidents = new OpenIncidents();
