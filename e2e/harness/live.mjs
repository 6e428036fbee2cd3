// A client of the live matrix (docs/reference/live-protocol.md). Node 20 has no WebSocket of its own; a server's frames are simple.
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { onExit } from './cleanup.mjs';

const KINDS = { 1: 'patch', 2: 'heartbeat', 3: 'fetch again' };

export class Live {
  /** Connects and keeps every frame with the moment at which it came. */
  static open(url, apiToken) {
    return new Promise((done, failed) => {
      const headers = {
        ...{ connection: 'Upgrade', upgrade: 'websocket', authorization: `Bearer ${apiToken}` },
        ...{ 'sec-websocket-version': '13', 'sec-websocket-key': randomBytes(16).toString('base64') },
      };
      const asking = request(`${url}/api/v1/live`, { headers });
      asking.once('error', failed);
      asking.once('response', (response) => failed(new Error(`the live matrix answered ${response.statusCode}`)));
      asking.once('upgrade', (_, socket, head) => done(new Live(socket, head)));
      asking.end();
    });
  }

  constructor(socket, head) {
    this.socket = socket;
    this.frames = [];
    this.waiting = Buffer.alloc(0);
    this.forget = onExit(() => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => (this.closed = true));
    socket.on('data', (bytes) => this.#take(bytes));
    if (head.length > 0) this.#take(head);
  }

  #take(bytes) {
    this.waiting = Buffer.concat([this.waiting, bytes]);
    for (;;) {
      if (this.waiting.length < 2) return;
      const short = this.waiting[1] & 0x7f;
      const begin = { 126: 4, 127: 10 }[short] ?? 2;
      if (this.waiting.length < begin) return;
      const length = short === 126 ? this.waiting.readUInt16BE(2) : short === 127 ? Number(this.waiting.readBigUInt64BE(2)) : short;
      if (this.waiting.length < begin + length) return;
      const [opcode, body] = [this.waiting[0] & 0x0f, this.waiting.subarray(begin, begin + length)];
      this.waiting = this.waiting.subarray(begin + length);
      if (opcode === 2) this.frames.push({ came: performance.now(), ...decode(body) });
      if (opcode === 8) this.closeCode = length >= 2 ? body.readUInt16BE(0) : 1005;
    }
  }

  /** Every change of a cell so far: number of the cell, its four bytes as one number, and when it came. */
  changes() {
    return this.frames.flatMap(({ came, patches }) => patches.map(([cell, value]) => ({ came, cell, value })));
  }

  close() {
    this.socket.destroy();
    this.forget();
  }
}

function decode(body) {
  const patches = [];
  for (let at = 32; at < body.length; at += 8) patches.push([body.readUInt32LE(at), body.readUInt32LE(at + 4)]);
  return { kind: KINDS[body[0]], generation: body.readBigUInt64LE(8), sequence: body.readBigUInt64LE(16), patches };
}
