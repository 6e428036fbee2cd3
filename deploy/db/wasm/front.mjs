// Between TCP connections and the one session of a WebAssembly PostgreSQL.
//
// The database wants whole messages, and TCP has none: bytes are collected until the message after which a client waits for an
// answer. Such a group runs by itself. A connection inside a transaction keeps the session until the transaction ends, so
// transactions of several connections never mix; everything else of a session (settings, temporary tables, names of prepared
// statements) is shared while they are open at the same time.
import { Buffer } from 'node:buffer';

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const PROTOCOL_3 = 196608;
/** The state in ReadyForQuery: no transaction is open. */
const IDLE = 0x49;
/** After these a client waits: Query, Sync, Flush. */
const ENDS_A_GROUP = new Set(['Q', 'S', 'H']);
/** COPY FROM STDIN traps this build of the database and ends it. Refused by the database itself, so that a transaction fails as it should. */
const TRAPS = /\bcopy\b[^;]*\bfrom\s+stdin\b/i;
const REFUSAL = `do $$ begin raise feature_not_supported using message = 'this build cannot COPY FROM STDIN'; end $$`;
/** This build starts with pg_catalog alone, and a reset of all settings goes back to that. */
export const SEARCH_PATH = 'set search_path = "$user", public';

function message(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : Buffer.from(part))));
  const head = Buffer.alloc(5, type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

const query = (sql) => message('Q', sql);
const SYNC = message('S');
const textAt = (buffer, at) => buffer.toString('utf8', at, buffer.indexOf(0, at));

/** Q is the query; P is the statement's name, then the query and the types of its parameters. */
function withoutTraps(type, whole) {
  if (type === 'Q' && TRAPS.test(textAt(whole, 5))) return query(REFUSAL);
  if (type === 'P') {
    const name = textAt(whole, 5);
    if (TRAPS.test(textAt(whole, 6 + Buffer.byteLength(name)))) return message('P', name, REFUSAL, [0, 0]);
  }
  return whole;
}

/** Whole messages out of chunks, joined only when one is complete: a large one comes in hundreds of chunks. */
class Reader {
  chunks = [];
  size = 0;

  push(chunk) {
    this.chunks.push(chunk);
    this.size += chunk.length;
  }

  /** The next message, whose length stands `at` bytes from its beginning, or undefined. */
  next(at) {
    if (this.size < at + 4) return undefined;
    if (this.chunks[0].length < at + 4) this.chunks = [Buffer.concat(this.chunks)];
    const length = at + this.chunks[0].readUInt32BE(at);
    if (this.size < length) return undefined;
    const all = this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks);
    this.chunks = length < all.length ? [all.subarray(length)] : [];
    this.size -= length;
    return all.subarray(0, length);
  }
}

export class Front {
  #database;
  #name;
  #greeting;
  #onTrap;
  /** Groups that wait, in the order of their coming: { connection, bytes }. */
  #waiting = [];
  #connections = new Set();
  /** The connection whose transaction is open. */
  #holder = undefined;
  #running = false;

  /** `name` is what clients call the one database. */
  constructor(database, name, version, onTrap) {
    this.#database = database;
    this.#name = name;
    this.#onTrap = onTrap;
    const settings = {
      server_version: version,
      server_encoding: 'UTF8',
      client_encoding: 'UTF8',
      DateStyle: 'ISO, MDY',
      integer_datetimes: 'on',
      standard_conforming_strings: 'on',
    };
    this.#greeting = Buffer.concat([
      message('R', [0, 0, 0, 0]),
      ...Object.entries(settings).map(([name, value]) => message('S', name, value)),
      message('K', Buffer.alloc(8)),
      message('Z', [IDLE]),
    ]);
  }

  serve(socket) {
    const connection = { socket, reader: new Reader(), group: [], statements: new Set(), greeted: false };
    socket.on('data', (chunk) => {
      connection.reader.push(chunk);
      while (!socket.destroyed && this.#take(connection));
    });
    // A client that vanishes: 'close' follows, and is all that matters.
    socket.on('error', () => {});
    socket.on('close', () => this.#leave(connection));
  }

  /** Takes one message off; false when there is none. */
  #take(connection) {
    const whole = connection.reader.next(connection.greeted ? 1 : 0);
    if (whole === undefined) return false;
    if (!connection.greeted) {
      this.#greet(connection, whole);
      return true;
    }
    const type = String.fromCharCode(whole[0]);
    if (type === 'X') {
      // Not only when the socket has closed: the client may be back before that.
      this.#leave(connection);
      connection.socket.end();
      return true;
    }
    if (type === 'P') connection.statements.add(textAt(whole, 5));
    connection.group.push(withoutTraps(type, whole));
    if (ENDS_A_GROUP.has(type)) {
      this.#waiting.push({ connection, bytes: Buffer.concat(connection.group) });
      connection.group = [];
      this.#run();
    }
    return true;
  }

  #greet(connection, request) {
    const { socket } = connection;
    const code = request.readUInt32BE(4);
    if (code === SSL_REQUEST || code === GSS_REQUEST) {
      socket.write('N');
      return;
    }
    const words = request.toString('utf8', 8).split('\0');
    const wanted = words[words.indexOf('database') + 1];
    if (code === CANCEL_REQUEST) {
      socket.end();
    } else if (code !== PROTOCOL_3) {
      socket.end(message('E', 'SFATAL', 'C08P01', 'Mthis server speaks protocol 3.0', [0]));
    } else if (words.includes('database') && wanted !== this.#name) {
      socket.end(message('E', 'SFATAL', 'C3D000', `Mthere is one database here, "${this.#name}", and none named "${wanted}"`, [0]));
    } else {
      connection.greeted = true;
      this.#connections.add(connection);
      socket.write(this.#greeting);
    }
  }

  /** Runs what waits, one group after the other; while a transaction is open, only those of its connection. */
  async #run() {
    if (this.#running) return;
    this.#running = true;
    try {
      for (;;) {
        const at = this.#waiting.findIndex(({ connection }) => this.#holder === undefined || this.#holder === connection);
        if (at < 0) break;
        const [{ connection, bytes }] = this.#waiting.splice(at, 1);
        const answer = Buffer.from(await this.#database.runExclusive(() => this.#database.execProtocolRaw(bytes)));
        // The last message of an answer is ReadyForQuery with the state of the transaction, unless the group ended with Flush.
        const isReady = answer.length >= 6 && answer.toString('latin1', answer.length - 6, answer.length - 1) === 'Z\0\0\0\x05';
        if (isReady) this.#holder = answer[answer.length - 1] === IDLE ? undefined : connection;
        else this.#holder = connection;
        if (!connection.socket.destroyed) connection.socket.write(answer);
      }
    } catch (error) {
      this.#onTrap(error);
    } finally {
      this.#running = false;
    }
  }

  /** What a connection leaves in the session goes with it; the last one leaves nothing at all. */
  #leave(connection) {
    if (!this.#connections.delete(connection)) return;
    const closing = [...connection.statements].map((name) => message('C', `S${name}`));
    const groups = [SYNC, query('rollback'), Buffer.concat([...closing, SYNC])];
    if (this.#connections.size === 0) groups.push(query('discard all'), query(SEARCH_PATH));
    // After what it still had to say, which a server carries out even when nobody waits for the answer any more.
    const at = this.#waiting.findLastIndex((group) => group.connection === connection) + 1;
    this.#waiting.splice(at, 0, ...groups.map((bytes) => ({ connection, bytes })));
    this.#run();
  }
}
