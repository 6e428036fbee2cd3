/** A mesh that does not exist: agents, who measures whom, and faults that come and go by a seed. */

import { createHash } from 'node:crypto';

const STATE = { unknown: 0, ok: 1, slow: 2, lossy: 3, down: 4, self: 5, notAssigned: 6 };
const SITES = [
  'alpha',
  'beta',
  'gamma',
  'delta',
  'epsilon',
  'zeta',
  'eta',
  'theta',
  'iota',
  'kappa',
];
const CITIES = [
  'ams',
  'cdg',
  'dub',
  'fra',
  'gru',
  'hnd',
  'iad',
  'jnb',
  'lhr',
  'mad',
  'nrt',
  'ord',
  'sea',
  'sfo',
  'sin',
  'syd',
  'tlv',
  'vie',
  'waw',
  'yyz',
];
/** Up to here every pair is measured, as the real assignment does. */
const FULL_MESH_MAX = 65;

export class FakeMesh {
  sequence = 0n;
  #random;
  #faults = [];

  constructor(count, { seed = 7, generation = 1n } = {}) {
    this.#random = generator(seed);
    this.generation = generation;
    this.agents = [...makeAgents(count), ...makeEndpoints(count)];
    this.count = count;
    this.n = this.agents.length;
    this.base = this.agents.map(() => this.#random());
    this.cells = new Uint32Array(this.n * this.n);
    for (let at = 0; at < this.cells.length; at += 1) this.cells[at] = this.#healthy(at);
  }

  /** An agent that just came: its pairs are not known yet, and fill as the mesh steps. */
  join(name, site) {
    const before = this.cells;
    const old = this.n;
    this.n += 1;
    this.generation += 1n;
    this.base.push(this.#random());
    this.agents.push(makeAgent(old, name, site));
    this.cells = new Uint32Array(this.n * this.n);
    for (let at = 0; at < this.cells.length; at += 1) {
      const [source, target] = [Math.floor(at / this.n), at % this.n];
      if (source < old && target < old) this.cells[at] = before[source * old + target];
      else this.cells[at] = source === target ? this.#healthy(at) : pack(STATE.unknown, null, null);
    }
    // Faults name cells by number, and the numbers have moved.
    this.#faults = [];
  }

  /** What the pair takes on a good day. */
  typicalRtt(source, target) {
    return this.#rtt(source, target);
  }

  /** Like the aggregator: heard from a moment ago, but for one agent that went silent. */
  listing(silent) {
    const seen = (index) => Date.now() - (index === silent ? 26 * 60_000 : 2_000);
    return this.agents.map((agent) => ({
      ...agent,
      last_seen_at: agent.kind === 'agent' ? new Date(seen(agent.index)).toISOString() : null,
    }));
  }

  /** One tenth of a second: a few cells get new numbers, and now and then a fault begins or ends. */
  step(tick) {
    const changed = new Map();
    if (this.n === 0) return changed;
    const write = (at, cell) => {
      if (!this.#measured(at) || this.cells[at] === cell) return;
      this.cells[at] = cell;
      changed.set(at, cell);
    };
    const count = Math.max(1, Math.min(400, Math.round((this.n * this.n) / 60)));
    for (let i = 0; i < count; i += 1) {
      const at = Math.floor(this.#random() * this.cells.length);
      write(at, this.#faultAt(at) ?? this.#healthy(at));
    }
    if (tick % 30 === 0) this.#turn(write);
    if (changed.size > 0) this.sequence += 1n;
    return changed;
  }

  /** A picture with one of everything, for screenshots and tests. */
  breakSome() {
    // The pairs below are named by number; a mesh without them stays well.
    if (this.count < 7) return;
    const write = (at, cell) => this.#measured(at) && (this.cells[at] = cell);
    const { n, count } = this;
    const begin = (fault) => this.#begin({ ...fault, lasts: true }, write);
    begin({ kind: 'column', agent: count - 1, state: STATE.down });
    begin({ kind: 'pair', at: 1 * n + 4, state: STATE.lossy });
    begin({ kind: 'pair', at: 4 * n + 1, state: STATE.slow });
    begin({ kind: 'pair', at: 2 * n + 6, state: STATE.lossy });
    begin({ kind: 'row', agent: Math.floor(count / 2) - 1, state: STATE.unknown });
    if (count < FULL_MESH_MAX) return;
    begin({ kind: 'row', agent: 613 % count, state: STATE.down });
    const [{ site: a }, { site: b }] = [this.agents[0], this.agents[count - 1]];
    begin({ kind: 'sites', a, b, state: STATE.lossy });
    for (let i = 0; i < 40; i += 1) {
      const state = this.#random() < 0.6 ? STATE.slow : STATE.lossy;
      begin({ kind: 'pair', at: Math.floor(this.#random() * n * n), state });
    }
  }

  snapshot() {
    const bytes = Buffer.alloc(32 + this.cells.length * 4);
    bytes.write('EPM1', 0, 'latin1');
    bytes.writeUInt32LE(this.n, 4);
    bytes.writeBigUInt64LE(this.generation, 8);
    bytes.writeBigUInt64LE(this.sequence, 16);
    bytes.writeBigInt64LE(nowMicros(), 24);
    Buffer.from(this.cells.buffer).copy(bytes, 32);
    return bytes;
  }

  frame(kind, changed = new Map()) {
    const bytes = Buffer.alloc(32 + changed.size * 8);
    bytes.writeUInt8(kind, 0);
    bytes.writeUInt32LE(changed.size, 4);
    bytes.writeBigUInt64LE(this.generation, 8);
    bytes.writeBigUInt64LE(this.sequence, 16);
    bytes.writeBigInt64LE(nowMicros(), 24);
    let offset = 32;
    for (const [at, cell] of changed) {
      bytes.writeUInt32LE(at, offset);
      bytes.writeUInt32LE(cell >>> 0, offset + 4);
      offset += 8;
    }
    return bytes;
  }

  #turn(write) {
    const passing = this.#faults.filter((fault) => !fault.lasts);
    if (passing.length > 4) {
      const ended = passing[0];
      this.#faults = this.#faults.filter((fault) => fault !== ended);
      for (const at of this.#cellsOf(ended)) write(at, this.#faultAt(at) ?? this.#healthy(at));
    }
    const state = [STATE.down, STATE.lossy, STATE.slow][Math.floor(this.#random() * 3)];
    this.#begin({ kind: 'pair', at: Math.floor(this.#random() * this.cells.length), state }, write);
  }

  #begin(fault, write) {
    this.#faults.push(fault);
    for (const at of this.#cellsOf(fault)) write(at, this.#broken(at, fault.state));
  }

  #faultAt(at) {
    const fault = this.#faults.findLast((candidate) => this.#touches(candidate, at));
    return fault ? this.#broken(at, fault.state) : null;
  }

  #touches(fault, at) {
    const source = Math.floor(at / this.n);
    const target = at % this.n;
    if (fault.kind === 'pair') return fault.at === at;
    if (fault.kind === 'row') return fault.agent === source;
    if (fault.kind === 'column') return fault.agent === target;
    return this.agents[source].site === fault.a && this.agents[target].site === fault.b;
  }

  #cellsOf(fault) {
    if (fault.kind === 'pair') return [fault.at];
    const found = [];
    for (let at = 0; at < this.cells.length; at += 1) if (this.#touches(fault, at)) found.push(at);
    return found;
  }

  #measured(at) {
    const source = Math.floor(at / this.n);
    const target = at % this.n;
    if (source === target || this.agents[source].kind === 'endpoint') return false;
    // Five observe it, the first ones here; an agent that came since does not.
    if (this.agents[target].kind === 'endpoint')
      return source % this.count < 5 && source < this.count;
    if (this.count <= FULL_MESH_MAX) return true;
    const low = Math.min(source, target);
    const high = Math.max(source, target);
    const isNeighbour = high - low <= 2;
    // A hash that both ends compute alike: about 60 partners for each agent.
    let hash = Math.imul(low * 4096 + high, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
    return isNeighbour || ((hash ^ (hash >>> 13)) >>> 0) % this.n < 60;
  }

  #healthy(at) {
    const source = Math.floor(at / this.n);
    const target = at % this.n;
    if (source === target) return pack(STATE.self, null, null);
    if (!this.#measured(at)) return pack(STATE.notAssigned, null, null);
    return pack(STATE.ok, 0, this.#rtt(source, target));
  }

  #broken(at, state) {
    const rtt = this.#rtt(Math.floor(at / this.n), at % this.n);
    if (state === STATE.down) return pack(state, 1000, null);
    if (state === STATE.unknown) return pack(state, null, null);
    if (state === STATE.slow) return pack(state, 0, rtt * 6 + 4_000);
    return pack(state, 4 + Math.floor(this.#random() ** 2 * 340), rtt);
  }

  #rtt(source, target) {
    const isNear = this.agents[source].site === this.agents[target].site;
    const distance = 3_000 + 38_000 * Math.abs(this.base[source] - this.base[target]);
    return Math.round((isNear ? 260 : distance) * (1 + this.#random() * 0.12));
  }
}

function makeAgents(count) {
  const size = count <= 30 ? 3 : Math.ceil(count / 20);
  const names = count <= 30 ? SITES : CITIES;
  return Array.from({ length: count }, (_, index) => {
    const site = names[Math.floor(index / size) % names.length];
    return makeAgent(index, `${site}-${(index % size) + 1}`, site);
  });
}

/** Hosts without an agent, where the mesh is large enough that somebody would have set them up. */
function makeEndpoints(count) {
  if (count < 7) return [];
  return [
    ['gateway', '192.0.2.1'],
    ['resolver', 'dns.example.org'],
  ].map(([name, address], at) => ({
    ...makeAgent(count + at, name, 'endpoints'),
    kind: 'endpoint',
    tags: [],
    addresses: [address],
    version: '',
  }));
}

function makeAgent(index, name, site) {
  return {
    index,
    kind: 'agent',
    tags: [['web', 'edge'], ['backup'], []][index % 3],
    id: createHash('sha256').update(name).digest('hex'),
    name,
    site,
    addresses: [`10.${Math.floor(index / 3)}.0.${(index % 3) + 1}`],
    version: '0.1.0',
    last_seen_at: new Date().toISOString(),
    joined_at: '2026-11-23T00:00:00Z',
  };
}

function pack(state, permille, micros) {
  const loss = permille === null ? 255 : Math.min(250, Math.ceil(permille / 4));
  let rtt = 0xffff;
  if (micros !== null) {
    const exponent = Math.max(0, 32 - Math.clz32(micros) - 11);
    rtt = (exponent << 11) | (micros >>> exponent);
  }
  return (state | (loss << 8) | (rtt << 16)) >>> 0;
}

function nowMicros() {
  return BigInt(Date.now()) * 1000n;
}

/** A linear congruential generator: the same picture from the same seed. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
