import { describe, expect, it } from 'vitest';
import { lossPermille, rttMicros, stateName } from '../src/model/cell';
import { decodeFrame, decodeSnapshot } from '../src/model/wire';

/** Golden bytes of docs/reference/live-protocol.md: two agents, one lossy pair and one that is down. */
const SNAPSHOT = bytes(
  '45504d31 02000000 0700000000000000 2a00000000000000 40420f0000000000 ' +
    '05ffffff 0305e02d 04fa0000 05ffffff',
);
const PATCH = bytes(
  '01000000 01000000 0700000000000000 2b00000000000000 40420f0000000000 01000000 01000c01',
);
const HEARTBEAT = bytes('02000000 00000000 0700000000000000 2b00000000000000 40420f0000000000');

describe('a snapshot', () => {
  it('is read field by field', () => {
    const snapshot = decodeSnapshot(SNAPSHOT);
    expect(snapshot).toMatchObject({
      n: 2,
      generation: 7n,
      sequence: 42n,
      serverMicros: 1_000_000n,
    });
    expect([...snapshot!.cells].map(stateName)).toEqual(['self', 'lossy', 'down', 'self']);
  });

  it('is refused when a byte is missing, is too many, or the magic differs', () => {
    expect(decodeSnapshot(SNAPSHOT.slice(0, -1))).toBeNull();
    expect(decodeSnapshot(join(SNAPSHOT, new ArrayBuffer(4)))).toBeNull();
    expect(decodeSnapshot(new ArrayBuffer(SNAPSHOT.byteLength))).toBeNull();
    expect(decodeSnapshot(new ArrayBuffer(3))).toBeNull();
  });

  it('is refused when it claims more agents than it brings', () => {
    const liar = SNAPSHOT.slice(0);
    new DataView(liar).setUint32(4, 0xffffffff, true);
    expect(decodeSnapshot(liar)).toBeNull();
  });
});

describe('a cell', () => {
  it('carries loss in units of 4 permille and RTT as mantissa and exponent', () => {
    const [, lossy, down] = decodeSnapshot(SNAPSHOT)!.cells;
    expect(lossPermille(lossy)).toBe(20);
    // 0x2de0: exponent 5, mantissa 0x5e0 = 1504, so 1504 * 32 µs.
    expect(rttMicros(lossy)).toBe(48_128);
    expect(lossPermille(down)).toBe(1_000);
  });

  it('keeps "not known" apart from zero', () => {
    const [self] = decodeSnapshot(SNAPSHOT)!.cells;
    expect(lossPermille(self)).toBeNull();
    expect(rttMicros(self)).toBeNull();
    expect(lossPermille(1)).toBe(0);
    expect(rttMicros(1)).toBe(0);
  });

  it('reads the largest exponent without running into the sign', () => {
    expect(rttMicros(0xfffe0001)).toBe(2046 * 2 ** 31);
  });

  it('of a state from a newer server is unknown', () => {
    expect(stateName(200)).toBe('unknown');
  });
});

describe('a live frame', () => {
  it('brings patches as cell number and cell', () => {
    const frame = decodeFrame(PATCH)!;
    expect(frame).toMatchObject({ kind: 1, generation: 7n, sequence: 43n });
    expect(frame.patches[0]).toBe(1);
    expect(stateName(frame.patches[1])).toBe('ok');
    expect(rttMicros(frame.patches[1])).toBe(268);
  });

  it('may be a heartbeat without patches', () => {
    expect(decodeFrame(HEARTBEAT)).toMatchObject({ kind: 2, sequence: 43n });
  });

  it('is refused when its length does not match its count, or its kind is unheard of', () => {
    expect(decodeFrame(PATCH.slice(0, -4))).toBeNull();
    const strange = HEARTBEAT.slice(0);
    new DataView(strange).setUint8(0, 9);
    expect(decodeFrame(strange)).toBeNull();
  });
});

function bytes(hex: string): ArrayBuffer {
  const pairs = hex.replaceAll(' ', '').match(/../g) ?? [];
  return Uint8Array.from(pairs, (pair) => parseInt(pair, 16)).buffer;
}

function join(a: ArrayBuffer, b: ArrayBuffer): ArrayBuffer {
  return Uint8Array.from([...new Uint8Array(a), ...new Uint8Array(b)]).buffer;
}
