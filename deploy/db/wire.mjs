// A PostgreSQL client for the tests of this folder: as much of the protocol as they need, text values only. It sends what a
// driver sends (named statements, groups that end with Sync) and can vanish like one that was killed.
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect } from 'node:net';

const zero = (text) => Buffer.from(`${text}\0`);

function message(type, ...parts) {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(type.length + 4, type);
  head.writeInt32BE(body.length + 4, type.length);
  return Buffer.concat([head, body]);
}

function int16(value) {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** The values of a DataRow. */
function valuesOf(body) {
  const values = [];
  for (let at = 2, left = body.readInt16BE(0); left > 0; left -= 1) {
    const length = body.readInt32BE(at);
    values.push(length < 0 ? null : body.toString('utf8', at + 4, at + 4 + length));
    at += 4 + Math.max(length, 0);
  }
  return values;
}

/** An ErrorResponse as an Error with the SQLSTATE in `code`. */
function errorOf(body) {
  const fields = Object.fromEntries(
    body
      .toString('utf8')
      .split('\0')
      .filter((field) => field !== '')
      .map((field) => [field[0], field.slice(1)]),
  );
  return Object.assign(new Error(fields.M), { code: fields.C });
}

export class Client {
  #socket;
  #bytes = Buffer.alloc(0);
  /** What the server said since the last question, and who waits for its ReadyForQuery. */
  #rows = [];
  #error = undefined;
  #waiter = undefined;

  static async open(url) {
    const { hostname, port, username, pathname } = new URL(url);
    const client = new Client();
    client.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(client.#socket, 'connect');
    client.#socket.on('data', (chunk) => client.#take(chunk));
    client.#socket.on('error', () => {});
    client.#socket.on('close', () => client.#waiter?.reject(client.#error ?? new Error('the server closed the connection')));
    await client.#ask(message('', int32(196608), zero('user'), zero(username), zero('database'), zero(pathname.slice(1)), zero('')));
    return client;
  }

  #take(chunk) {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 5 && this.#bytes.length >= this.#bytes.readInt32BE(1) + 1) {
      const end = this.#bytes.readInt32BE(1) + 1;
      const type = String.fromCharCode(this.#bytes[0]);
      const body = this.#bytes.subarray(5, end);
      this.#bytes = this.#bytes.subarray(end);
      if (type === 'D') this.#rows.push(valuesOf(body));
      else if (type === 'E') this.#error = errorOf(body);
      else if (type === 'Z' && this.#error) this.#waiter?.reject(this.#error);
      else if (type === 'Z') this.#waiter?.resolve(this.#rows);
    }
  }

  #ask(bytes) {
    return new Promise((resolve, reject) => {
      this.#rows = [];
      this.#error = undefined;
      this.#waiter = { resolve, reject };
      this.#socket.write(bytes);
    });
  }

  /** The simple protocol. */
  query(sql) {
    return this.#ask(message('Q', zero(sql)));
  }

  prepare(name, sql) {
    return this.#ask(Buffer.concat([message('P', zero(name), zero(sql), int16(0)), message('S')]));
  }

  execute(name, values = []) {
    const parameters = values.flatMap((value) => [int32(Buffer.byteLength(value)), Buffer.from(value)]);
    const bind = message('B', zero(''), zero(name), int16(0), int16(values.length), ...parameters, int16(0));
    return this.#ask(Buffer.concat([bind, message('E', zero(''), int32(0)), message('S')]));
  }

  /** The only value of the only row. */
  async value(sql) {
    const rows = await this.query(sql);
    return rows[0][0];
  }

  close() {
    this.#socket.end(message('X'));
    return once(this.#socket, 'close');
  }

  /** As if the client had been killed. */
  vanish() {
    this.#socket.resetAndDestroy();
  }
}
