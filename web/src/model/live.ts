/** The matrix as this client knows it, and the rule for what each live frame does to it. */

import { DOWN, NOT_ASSIGNED, UNKNOWN, isPair, stateOf } from './cell';
import { NOTHING_EXCLUDED, type Excluded } from './left-out';
import { KIND_HEARTBEAT, KIND_REFETCH, type Frame, type Snapshot } from './wire';

/**
 * apply: the next patch. alive: nothing changed, but the server is there. old: already contained.
 * refetch: something was missed, or the list of agents changed.
 */
export type Verdict = 'apply' | 'alive' | 'old' | 'refetch';

export interface Tally {
  pairs: number;
  /** How many pairs are in each state, by state number. */
  byState: Uint32Array;
}

/** Counts of pairs by one of their ends, indexed by agent. */
export interface Ends {
  pairs: Uint32Array;
  down: Uint32Array;
  unknown: Uint32Array;
}

/** Not assigned, with a loss that no server sends: told apart, so that it can be taken back. */
const EXCLUDED_CELL = 0xffff_fe00 + NOT_ASSIGNED;
const UNKNOWN_CELL = 0xffff_ff00 + UNKNOWN;

export class LiveMatrix {
  readonly n: number;
  readonly generation: bigint;
  readonly cells: Uint32Array<ArrayBuffer>;
  /** What is known of each agent as source (its row) and as target (its column). */
  readonly rows: Ends;
  readonly columns: Ends;
  readonly tally: Tally = { pairs: 0, byState: new Uint32Array(NOT_ASSIGNED + 1) };
  sequence: bigint;
  readonly #excluded: Excluded;

  constructor(snapshot: Snapshot, excluded = NOTHING_EXCLUDED) {
    this.n = snapshot.n;
    this.generation = snapshot.generation;
    this.sequence = snapshot.sequence;
    this.cells = snapshot.cells;
    this.#excluded = excluded;
    this.rows = ends(this.n);
    this.columns = ends(this.n);
    for (let index = 0; index < this.cells.length; index += 1) {
      this.cells[index] = this.#read(index, this.cells[index]);
      this.#count(index, 1);
    }
  }

  /** The same picture, with other pairs left out of it. */
  excluding(excluded: Excluded): LiveMatrix {
    const { n, generation, sequence } = this;
    const cells = this.cells.map((cell) => (cell === EXCLUDED_CELL ? UNKNOWN_CELL : cell));
    return new LiveMatrix({ n, generation, sequence, serverMicros: 0n, cells }, excluded);
  }

  judge(frame: Frame): Verdict {
    if (frame.kind === KIND_REFETCH || frame.generation !== this.generation) return 'refetch';
    // A heartbeat repeats the last sequence, so one that is ahead means that a patch was lost.
    const next = frame.kind === KIND_HEARTBEAT ? this.sequence : this.sequence + 1n;
    if (frame.sequence > next) return 'refetch';
    if (frame.kind === KIND_HEARTBEAT) return 'alive';
    return frame.sequence === next ? 'apply' : 'old';
  }

  /** Judges the frame and takes it in; `touched` learns the number of every cell that was written. */
  receive(frame: Frame, touched: (index: number) => void): Verdict {
    const verdict = this.judge(frame);
    if (verdict !== 'apply') return verdict;
    for (let at = 0; at < frame.patches.length; at += 2) {
      const index = frame.patches[at];
      // A cell outside the matrix cannot come from the same generation: trust none of it.
      if (index >= this.cells.length) return 'refetch';
      this.#count(index, -1);
      this.cells[index] = this.#read(index, frame.patches[at + 1]);
      this.#count(index, 1);
      touched(index);
    }
    this.sequence = frame.sequence;
    return 'apply';
  }

  cell(source: number, target: number): number {
    return this.cells[source * this.n + target];
  }

  /** What is excluded and measured all the same, by an agent that does not know yet, is shown. */
  #read(index: number, cell: number): number {
    return stateOf(cell) === UNKNOWN && this.#excluded.hasCell(index) ? EXCLUDED_CELL : cell;
  }

  #count(index: number, by: 1 | -1): void {
    const cell = this.cells[index];
    const state = stateOf(cell);
    this.tally.byState[state] += by;
    if (!isPair(cell)) return;
    const source = Math.floor(index / this.n);
    const target = index - source * this.n;
    this.tally.pairs += by;
    for (const [counts, agent] of [
      [this.rows, source],
      [this.columns, target],
    ] as const) {
      counts.pairs[agent] += by;
      if (state === DOWN) counts.down[agent] += by;
      if (state === UNKNOWN) counts.unknown[agent] += by;
    }
  }
}

function ends(n: number): Ends {
  return { pairs: new Uint32Array(n), down: new Uint32Array(n), unknown: new Uint32Array(n) };
}

/** 30 s of frames at the protocol's ten a second: a snapshot that takes longer is fetched again instead. */
export const HELD_FRAMES_MAX = 300;

/**
 * Frames that arrive while a snapshot is on its way. They are replayed on it, so that nothing between
 * the two is missed; past the limit they are let go and the overflow asks for another snapshot.
 */
export class HeldFrames {
  #frames: Frame[] = [];
  overflowed = false;

  push(frame: Frame): void {
    if (this.#frames.length >= HELD_FRAMES_MAX) {
      this.#frames = [];
      this.overflowed = true;
    }
    if (!this.overflowed) this.#frames.push(frame);
  }

  /** Replays on `matrix`; false when another snapshot is needed. */
  replay(matrix: LiveMatrix): boolean {
    const frames = this.#frames;
    this.#frames = [];
    if (this.overflowed) return false;
    // Generations are not ordered: a last frame of another one may be older or newer, so ask again.
    const last = frames.at(-1);
    if (last && (last.generation !== matrix.generation || last.kind === KIND_REFETCH)) return false;
    return frames
      .filter((frame) => frame.generation === matrix.generation && frame.kind !== KIND_REFETCH)
      .every((frame) => matrix.receive(frame, () => undefined) !== 'refetch');
  }
}
