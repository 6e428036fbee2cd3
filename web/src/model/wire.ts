/**
 * Bytes to values, after docs/reference/live-protocol.md. Decoding is total: bytes that do not fit the
 * description give `null`, never an exception, because they come from the network.
 */

const MAGIC = 0x314d5045; // "EPM1", read as a little-endian u32
const HEADER_BYTES = 32;
const CELL_BYTES = 4;
const PATCH_BYTES = 8;

/** 4,096 agents are 64 MiB of cells: the most that a browser tab should be asked to hold. */
export const AGENTS_MAX = 4096;

export const KIND_PATCH = 1;
export const KIND_HEARTBEAT = 2;
export const KIND_REFETCH = 3;

export interface Snapshot {
  n: number;
  generation: bigint;
  sequence: bigint;
  serverMicros: bigint;
  cells: Uint32Array<ArrayBuffer>;
}

export interface Frame {
  kind: number;
  generation: bigint;
  sequence: bigint;
  serverMicros: bigint;
  /** Cell number and cell, alternating. */
  patches: Uint32Array<ArrayBuffer>;
}

export function decodeSnapshot(bytes: ArrayBuffer): Snapshot | null {
  if (bytes.byteLength < HEADER_BYTES) return null;
  const view = new DataView(bytes);
  if (view.getUint32(0, true) !== MAGIC) return null;
  const n = view.getUint32(4, true);
  if (n > AGENTS_MAX || bytes.byteLength !== HEADER_BYTES + n * n * CELL_BYTES) return null;
  return {
    n,
    generation: view.getBigUint64(8, true),
    sequence: view.getBigUint64(16, true),
    serverMicros: view.getBigInt64(24, true),
    cells: words(bytes, HEADER_BYTES, n * n),
  };
}

export function decodeFrame(bytes: ArrayBuffer): Frame | null {
  if (bytes.byteLength < HEADER_BYTES) return null;
  const view = new DataView(bytes);
  const kind = view.getUint8(0);
  const count = view.getUint32(4, true);
  if (kind < KIND_PATCH || kind > KIND_REFETCH) return null;
  if (bytes.byteLength !== HEADER_BYTES + count * PATCH_BYTES) return null;
  return {
    kind,
    generation: view.getBigUint64(8, true),
    sequence: view.getBigUint64(16, true),
    serverMicros: view.getBigInt64(24, true),
    patches: words(bytes, HEADER_BYTES, count * 2),
  };
}

/** A copy in one go where the host is little-endian like the wire, which is every browser in use. */
function words(bytes: ArrayBuffer, offset: number, count: number): Uint32Array<ArrayBuffer> {
  if (IS_LITTLE_ENDIAN) return new Uint32Array(bytes.slice(offset, offset + count * 4));
  const view = new DataView(bytes, offset);
  return Uint32Array.from({ length: count }, (_, i) => view.getUint32(i * 4, true));
}

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
