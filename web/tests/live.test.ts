import { describe, expect, it } from 'vitest';
import { DOWN, OK, SELF } from '../src/model/cell';
import { HELD_FRAMES_MAX, HeldFrames, LiveMatrix } from '../src/model/live';
import { KIND_HEARTBEAT, KIND_PATCH, KIND_REFETCH, type Frame } from '../src/model/wire';
import { packCell } from './cells';

const ok = packCell(OK, 0, 1_000);
const down = packCell(DOWN, 1_000, null);
const self = packCell(SELF, null, null);

function matrix(sequence = 10n): LiveMatrix {
  const cells = Uint32Array.from([self, ok, ok, self]);
  return new LiveMatrix({ n: 2, generation: 3n, sequence, serverMicros: 0n, cells });
}

function frame(kind: number, sequence: bigint, patches: number[] = [], generation = 3n): Frame {
  return { kind, generation, sequence, serverMicros: 0n, patches: Uint32Array.from(patches) };
}

describe('the live matrix', () => {
  it('applies the next patch and tells which cells were written', () => {
    const live = matrix();
    const touched: number[] = [];
    expect(live.receive(frame(KIND_PATCH, 11n, [1, down]), (at) => touched.push(at))).toBe('apply');
    expect(touched).toEqual([1]);
    expect(live.cell(0, 1)).toBe(down);
    expect(live.sequence).toBe(11n);
  });

  it('asks for a snapshot after a gap and leaves the cells alone', () => {
    const live = matrix();
    expect(live.receive(frame(KIND_PATCH, 12n, [1, down]), fail)).toBe('refetch');
    expect(live.cell(0, 1)).toBe(ok);
  });

  it('ignores what the snapshot already contains', () => {
    const live = matrix();
    expect(live.receive(frame(KIND_PATCH, 10n, [1, down]), fail)).toBe('old');
    expect(live.cell(0, 1)).toBe(ok);
  });

  it('asks for a snapshot when the list of agents changed or the server says so', () => {
    expect(matrix().judge(frame(KIND_PATCH, 11n, [], 4n))).toBe('refetch');
    expect(matrix().judge(frame(KIND_HEARTBEAT, 10n, [], 2n))).toBe('refetch');
    expect(matrix().judge(frame(KIND_REFETCH, 10n))).toBe('refetch');
  });

  it('takes a heartbeat as a sign of life, and one ahead as a lost patch', () => {
    expect(matrix().judge(frame(KIND_HEARTBEAT, 10n))).toBe('alive');
    expect(matrix().judge(frame(KIND_HEARTBEAT, 11n))).toBe('refetch');
  });

  it('trusts no frame that writes outside the matrix', () => {
    expect(matrix().receive(frame(KIND_PATCH, 11n, [4, down]), () => undefined)).toBe('refetch');
  });

  it('keeps its counts in step with its cells', () => {
    const live = matrix();
    live.receive(frame(KIND_PATCH, 11n, [1, down, 2, down]), () => undefined);
    live.receive(frame(KIND_PATCH, 12n, [2, ok]), () => undefined);
    expect(live.tally.pairs).toBe(2);
    expect(live.tally.byState[DOWN]).toBe(1);
    expect([...live.rows.down]).toEqual([1, 0]);
    expect([...live.columns.down]).toEqual([0, 1]);
  });
});

describe('frames held while a snapshot is on its way', () => {
  it('are replayed from where the snapshot ends', () => {
    const held = new HeldFrames();
    held.push(frame(KIND_PATCH, 10n, [1, down]));
    held.push(frame(KIND_PATCH, 11n, [2, down]));
    const live = matrix();
    expect(held.replay(live)).toBe(true);
    expect([live.cell(0, 1), live.cell(1, 0)]).toEqual([ok, down]);
  });

  it('ask for another snapshot when one is missing between', () => {
    const held = new HeldFrames();
    held.push(frame(KIND_PATCH, 12n, [2, down]));
    expect(held.replay(matrix())).toBe(false);
  });

  it('of the list of agents before are skipped, once newer ones follow', () => {
    const held = new HeldFrames();
    held.push(frame(KIND_PATCH, 90n, [1, down], 2n));
    expect(held.replay(matrix())).toBe(false);
    held.push(frame(KIND_PATCH, 90n, [1, down], 2n));
    held.push(frame(KIND_HEARTBEAT, 10n));
    expect(held.replay(matrix())).toBe(true);
  });

  it('are bounded, and an overflow is never passed over', () => {
    const held = new HeldFrames();
    for (let i = 0; i <= HELD_FRAMES_MAX; i += 1) held.push(frame(KIND_HEARTBEAT, 10n));
    expect(held.replay(matrix())).toBe(false);
  });
});

function fail(): never {
  throw new Error('no cell may be written');
}
