/**
 * The mesh as this page knows it. One attempt is: open the socket, then fetch agents and snapshot while
 * frames are held back, then replay them. A gap or another generation repeats the fetch on the same
 * socket; a lost socket starts a new attempt after a jittered wait.
 */

import { ApiProblem, readAgents, readMatrix } from '../api/client';
import { openLive, type LiveSocket } from '../api/live';
import { NOTHING_EXCLUDED } from '../model/left-out';
import { HeldFrames, LiveMatrix } from '../model/live';
import { DEAD_AFTER_MS, freshness, remedyFor, retryDelayMs } from '../model/reconnect';
import { KIND_REFETCH, type Frame } from '../model/wire';
import type { ExclusionReader } from './exclusions';
import { Roster, byIndex, type MeshAgent } from './roster.svelte';
import { session } from './session.svelte';

export type MeshPhase = 'loading' | 'ready' | 'failed' | 'forbidden';

const TICK_MS = 500;

export class Mesh {
  phase = $state<MeshPhase>('loading');
  message = $state('');
  agents = $state.raw<MeshAgent[]>([]);
  readonly roster = new Roster();
  matrix = $state.raw<LiveMatrix | null>(null);
  /** Rises with every change of a cell; reading it makes a computation follow the matrix. */
  version = $state(0);
  /** Rises at most once a tick, for what is too costly to do with every frame. */
  pulse = $state(0);
  lastHeard = $state<number | null>(null);
  now = $state(performance.now());
  /** The aggregator answers and opens no socket: what is shown was fetched, and is fetched again. */
  isFetched = $state(false);
  freshness = $derived(this.isFetched ? 'stale' : freshness(this.lastHeard, this.now));
  /** The aggregator's clock, in milliseconds since 1970; the reader's own may be wrong. */
  serverNow = $state(Date.now());

  // eslint-disable-next-line svelte/prefer-svelte-reactivity -- listeners are called, never shown
  #touched = new Set<(index: number) => void>();
  #socket: LiveSocket | null = null;
  #held: HeldFrames | null = null;
  #attempt = 0;
  /** Names the current attempt, so that an answer to an abandoned one is dropped. */
  #run = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #summarised = -1;
  #triedAt = 0;
  #clockOffset = 0;
  #online = () => this.#connect();
  /** Comes after the picture. */
  #exclusions: ExclusionReader | null = null;

  start(): void {
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    void this.#followExclusions();
    window.addEventListener('online', this.#online);
    this.#connect();
  }

  stop(): void {
    this.#run += 1;
    clearInterval(this.#ticker);
    clearTimeout(this.#retry);
    window.removeEventListener('online', this.#online);
    this.#socket?.close();
  }

  retryNow(): void {
    this.#attempt = 0;
    this.#connect();
  }

  /** Tells of every cell that a frame writes; the answer ends it. */
  onTouched(listener: (index: number) => void): () => void {
    this.#touched.add(listener);
    return () => this.#touched.delete(listener);
  }

  #connect(): void {
    this.#socket?.close();
    clearTimeout(this.#retry);
    const run = (this.#run += 1);
    this.#triedAt = performance.now();
    this.#held = new HeldFrames();
    let opened = false;
    this.#socket = openLive({
      opened: () => {
        opened = true;
        void this.#load(run);
      },
      frame: (frame) => this.#frame(frame, run),
      closed: () => {
        this.#socket = null;
        this.#retryLater(run);
        // Without a socket the picture can still be fetched, and a refusal says what is wrong.
        if (!opened) void this.#load(run);
      },
    });
  }

  async #load(run: number): Promise<void> {
    try {
      const [{ agents, generation }, snapshot] = await Promise.all([readAgents(), readMatrix()]);
      if (run !== this.#run) return;
      const matches = BigInt(generation) === snapshot.generation && agents.length === snapshot.n;
      const sorted = byIndex(agents);
      const excluded = this.#exclusions?.among(sorted) ?? NOTHING_EXCLUDED;
      const matrix = new LiveMatrix(snapshot, excluded);
      if (!matches || !this.#held?.replay(matrix)) return this.#again(run);
      this.#held = null;
      this.roster.set(sorted, generation, excluded.leftOut);
      this.agents = this.roster.agents;
      this.#setClock(snapshot.serverMicros);
      this.matrix = matrix;
      this.phase = 'ready';
      this.lastHeard = performance.now();
      // A browser does not say why a socket was refused, only that it was.
      this.isFetched = this.#socket === null;
      this.#changed();
    } catch (problem) {
      if (run === this.#run) this.#failed(problem, run);
    }
  }

  /** Fetches again on the same socket, after a wait that grows while it keeps being needed. */
  #again(run: number): void {
    this.#held = new HeldFrames();
    clearTimeout(this.#retry);
    const delay = retryDelayMs(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#retry = setTimeout(() => {
      if (run !== this.#run) return;
      if (this.#socket) void this.#load(run);
      else this.#connect();
    }, delay);
  }

  #retryLater(run: number): void {
    if (run === this.#run) this.#again(run);
  }

  #frame(frame: Frame, run: number): void {
    if (run !== this.#run) return;
    this.lastHeard = performance.now();
    this.#setClock(frame.serverMicros);
    if (!this.matrix || this.#held) {
      this.#held?.push(frame);
      return;
    }
    const verdict = this.matrix.receive(frame, (index) => {
      for (const listener of this.#touched) listener(index);
    });
    if (verdict === 'refetch') {
      this.#held = new HeldFrames();
      if (frame.kind !== KIND_REFETCH) this.#held.push(frame);
      void this.#load(run);
      return;
    }
    this.#attempt = 0;
    if (verdict === 'apply') this.version += 1;
  }

  #failed(problem: unknown, run: number): void {
    this.isFetched = false;
    const status = problem instanceof ApiProblem ? problem.status : 0;
    this.message = problem instanceof Error ? problem.message : String(problem);
    const remedy = remedyFor(status);
    if (remedy === 'sign-in') return session.expire();
    if (remedy === 'forbidden') {
      this.stop();
      this.phase = 'forbidden';
      return;
    }
    // A picture that was shown stays, marked stale; only an empty page says that loading failed.
    if (!this.matrix) this.phase = 'failed';
    this.#again(run);
  }

  async #followExclusions(): Promise<void> {
    const { ExclusionReader } = await import('./exclusions');
    this.#exclusions = new ExclusionReader(() => this.#exclude());
    this.#exclusions.tick();
  }

  #exclude(): void {
    if (!this.matrix) return;
    const excluded = this.#exclusions?.among(this.agents) ?? NOTHING_EXCLUDED;
    this.matrix = this.matrix.excluding(excluded);
    this.roster.leaveOut(excluded.leftOut);
    this.agents = this.roster.agents;
    this.#changed();
  }

  #tick(): void {
    this.now = performance.now();
    this.serverNow = Date.now() + this.#clockOffset;
    this.roster.tick();
    this.#exclusions?.tick();
    if (this.#summarised !== this.version) {
      this.#summarised = this.version;
      this.pulse += 1;
    }
    const silentSince = Math.max(this.lastHeard ?? 0, this.#triedAt);
    if (this.#socket && this.now - silentSince > DEAD_AFTER_MS) this.#connect();
  }

  #setClock(serverMicros: bigint): void {
    this.#clockOffset = Number(serverMicros / 1_000n) - Date.now();
  }

  #changed(): void {
    this.version += 1;
    this.pulse += 1;
    this.#summarised = this.version;
  }
}
