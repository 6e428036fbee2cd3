/**
 * The agents as they were read last. When each was heard of is no part of the live frames, so the list is read
 * again while a page shows it.
 */

import { ApiProblem, readAgents, type Agent } from '../api/client';
import { NOTHING_EXCLUDED } from '../model/left-out';
import { session } from './session.svelte';

const EVERY_MS = 15_000;

export type MeshAgent = Agent & { isLeftOut: boolean };

export class Roster {
  /** In the order of the matrix, and of the same generation. */
  agents = $state.raw<MeshAgent[]>([]);

  #generation = -1;
  #leftOut = NOTHING_EXCLUDED.leftOut;
  #followers = 0;
  #readAt = -Infinity;

  set(agents: Agent[], generation: number, leftOut: ReadonlySet<number>): void {
    this.agents = agents.map((agent) => ({ ...agent, isLeftOut: leftOut.has(agent.index) }));
    this.#leftOut = leftOut;
    this.#generation = generation;
    this.#readAt = performance.now();
  }

  leaveOut(leftOut: ReadonlySet<number>): void {
    this.set(this.agents, this.#generation, leftOut);
  }

  /** Keeps the list young until the answer is called. */
  follow(): () => void {
    this.#followers += 1;
    this.tick();
    return () => (this.#followers -= 1);
  }

  tick(): void {
    const isDue = performance.now() - this.#readAt >= EVERY_MS;
    if (this.#followers > 0 && isDue && this.#generation >= 0 && !document.hidden)
      void this.#read();
  }

  async #read(): Promise<void> {
    this.#readAt = performance.now();
    try {
      const { agents, generation } = await readAgents();
      // Another generation comes with another matrix, and both are taken together.
      if (generation === this.#generation) this.set(byIndex(agents), generation, this.#leftOut);
    } catch (problem) {
      // The live frames or their absence tell how the connection is; only an ended session is news.
      if (problem instanceof ApiProblem && problem.status === 401) session.expire();
    }
  }
}

export function byIndex(agents: readonly Agent[]): Agent[] {
  return [...agents].sort((a, b) => a.index - b.index);
}
