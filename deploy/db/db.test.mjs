// The database servers for tests and benches: they start, they are what they promise, and nothing of them is left.
//
// A kind that this machine cannot have is skipped with the tool's own line `SKIPPED: KIND: why`; in CI that is a failure.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { IN_CI, needs } from '../../e2e/harness/components.mjs';
import { ROOT, run } from '../../e2e/harness/programs.mjs';
import { until } from '../../e2e/harness/wait.mjs';
import { Client } from './wire.mjs';

const DB = join(ROOT, 'deploy/db/db');
const NOBODY = 65534;
const MINUTES = 300_000;
const directories = [];

function newDirectory() {
  const path = mkdtempSync(join(tmpdir(), 'everypath-db-test-'));
  directories.push(path);
  return path;
}

function db(...words) {
  return run(DB, words, { timeoutMs: MINUTES });
}

function dbOk(...words) {
  const result = db(...words);
  assert.equal(result.code, 0, `db ${words.join(' ')}:\n${result.stdout}${result.stderr}`);
  return result.stdout.trim().split('\n').at(-1);
}

/** The URL, or undefined after skipping the test. */
function startOrSkip(t, kind, directory, ...options) {
  const result = db('start', kind, directory, ...options);
  if (result.code !== 77) {
    assert.equal(result.code, 0, result.stdout + result.stderr);
    return result.stdout.trim().split('\n').at(-1);
  }
  const line = result.stderr.split('\n').find((words) => words.startsWith('SKIPPED: '));
  if (IN_CI) throw new Error(`${line}. In CI nothing is skipped.`);
  console.log(line);
  t.skip(line);
  return undefined;
}

/** Runs a command beside this one and gives its exit code and output. */
async function beside(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  child.stdout.on('data', (text) => (out += text));
  child.stderr.on('data', (text) => (out += text));
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, out };
}

async function withClient(url, work) {
  const client = await Client.open(url);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

const valueOf = (url, sql) => withClient(url, (client) => client.value(sql));

/** Living processes with the directory among their words. */
function processesOf(directory) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(directory);
    } catch {
      return false;
    }
  });
}

function assertGone(directory) {
  assert.equal(existsSync(directory), false);
  assert.deepEqual(processesOf(directory), []);
}

/** Segments of shared memory that no process holds. Those of servers that others run at the same time do not count. */
function forgottenMemory() {
  const lines = readFileSync('/proc/sysvipc/shm', 'utf8').trim().split('\n').slice(1);
  return lines.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[6] === '0').length;
}

const serverOf = (directory) => readFileSync(join(directory, 'server'), 'utf8').split(' ')[0];

after(() => {
  for (const directory of directories) {
    run(DB, ['stop', directory]);
    rmSync(directory, { recursive: true, force: true });
  }
});

for (const kind of ['postgres', 'timescale-apache', 'timescale-wasm']) {
  test(`${kind}: data survive SIGKILL, the port stays, and stop leaves nothing`, async (t) => {
    const directory = newDirectory();
    const segments = forgottenMemory();
    const url = startOrSkip(t, kind, directory);
    if (url === undefined) return;
    assert.match(url, /^postgres:\/\/everypath@127\.0\.0\.1:\d+\/postgres$/);
    assert.equal(dbOk('url', directory), url);
    const users = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${serverOf(directory)}/status`, 'utf8'))[1].split('\t');
    assert.equal(users.includes('0'), false, 'the server must not be root');
    assert.equal(await valueOf(url, 'select current_user || current_database()'), 'everypathpostgres');

    await withClient(url, (client) => client.query('create table kept as select 7 as number'));
    dbOk('kill', directory);
    await assert.rejects(Client.open(url), /ECONNREFUSED/);
    assert.equal(dbOk('restart', directory), url);
    assert.equal(await valueOf(url, 'select number from kept'), '7');
    assert.equal(dbOk('restart', directory), url, 'the same with a fast shutdown');
    assert.equal(await valueOf(url, 'select number from kept'), '7');

    dbOk('kill', directory);
    dbOk('stop', directory);
    assertGone(directory);
    assert.equal(forgottenMemory(), segments);
    dbOk('stop', directory);
  });
}

test('postgres: safe unless told otherwise, and tuned for benches on request', async (t) => {
  const safe = newDirectory();
  const url = startOrSkip(t, 'postgres', safe);
  if (url === undefined) return;
  const settings = `select string_agg(setting, ' ' order by name) from pg_settings
    where name in ('fsync', 'full_page_writes', 'max_connections', 'synchronous_commit')`;
  assert.equal(await valueOf(url, settings), 'on on 200 on');
  dbOk('tune', safe, 'bench');
  assert.equal(await valueOf(url, 'show shared_buffers'), '1GB');
  assert.equal(await valueOf(url, settings), 'on on 200 on');
  assert.equal(await valueOf(dbOk('start', 'postgres', newDirectory(), '--unsafe-fast'), settings), 'off off 200 off');
});

test('two servers of a kind start at once', async (t) => {
  const kinds = ['postgres', 'timescale-apache'].filter((kind) => startOrSkip(t, kind, newDirectory()) !== undefined);
  const starts = kinds.flatMap((kind) => [kind, kind]).map((kind) => beside(DB, ['start', kind, newDirectory()]));
  const results = await Promise.all(starts);
  for (const { code, out } of results) assert.equal(code, 0, out);
  assert.equal(new Set(results.map(({ out }) => out.trim().split('\n').at(-1))).size, results.length);
});

test('a directory that is not empty is refused, and left alone by stop', () => {
  const directory = newDirectory();
  assert.equal(run('touch', [join(directory, 'mine')]).code, 0);
  assert.match(db('start', 'postgres', directory).stderr, /is not empty/);
  assert.match(db('stop', directory).stderr, /left alone/);
  assert.equal(existsSync(join(directory, 'mine')), true);
});

test('a server ends with its owner, even one that started it in a subshell and was killed', async (t) => {
  const [one, two] = [newDirectory(), newDirectory()];
  if (startOrSkip(t, 'postgres', newDirectory()) === undefined) return;
  const script = `"$0" start postgres ${one} >/dev/null && url=$("$0" start postgres ${two} | tail -n 1) && sleep 1.5 && echo "$url" && sleep 600`;
  const owner = spawn('bash', ['-c', script, DB], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const url = await new Promise((resolve) => owner.stdout.once('data', (text) => resolve(String(text).trim())));
  assert.equal(await valueOf(url, 'select 1'), '1', 'the subshell has ended, its shell has not');
  process.kill(-owner.pid, 'SIGKILL');
  await until('both servers are gone', 5000, () => !existsSync(one) && !existsSync(two), 50);
  assertGone(one);
  assertGone(two);
});

test('a start that was killed leaves nothing after stop', async (t) => {
  if (startOrSkip(t, 'postgres', newDirectory()) === undefined) return;
  const segments = forgottenMemory();
  for (const delayMs of [60, 150, 300, 450]) {
    const directory = newDirectory();
    const child = spawn(DB, ['start', 'postgres', directory], { stdio: 'ignore' });
    setTimeout(() => child.kill('SIGKILL'), delayMs);
    await new Promise((resolve) => child.on('close', resolve));
    dbOk('stop', directory);
    assertGone(directory);
    assert.equal(forgottenMemory(), segments);
  }
});

// What a SIGKILL leaves in the first milliseconds, which the test above meets by chance only.
test('what a start leaves that was killed at once is removed too, and what is of others is not', () => {
  for (const left of [
    [],
    [['kind', '']],
    [['kind', 'postgres\n']],
    [
      ['kind', 'postgres\n'],
      ['log', ''],
    ],
  ]) {
    const directory = newDirectory();
    for (const [name, content] of left) writeFileSync(join(directory, name), content);
    dbOk('stop', directory);
    assertGone(directory);
  }
  const theirs = newDirectory();
  writeFileSync(join(theirs, 'log'), '');
  assert.equal(db('stop', theirs).code, 1);
  rmSync(theirs, { recursive: true });
});

test('run gives a command its server, and its exit code back', (t) => {
  if (startOrSkip(t, 'postgres', newDirectory()) === undefined) return;
  const script =
    'echo "$EVERYPATH_TEST_DATABASE_DIR" && test "$("$0" url "$EVERYPATH_TEST_DATABASE_DIR")" = "$EVERYPATH_TEST_DATABASE_URL" && exit 9';
  const result = db('run', 'postgres', '--unsafe-fast', '--', 'bash', '-c', script, DB);
  assert.equal(result.code, 9, result.output);
  assertGone(result.stdout.trim().split('\n').at(-1));
  assert.equal(db('run', 'postgres', '--', 'no-such-command').code, 127);
});

describe('without root', () => {
  const options = needs('another user');
  for (const kind of ['postgres', 'timescale-wasm', 'timescale-apache']) {
    test(kind, options, async (t) => {
      const isRoot = process.getuid() === 0;
      const asNobody = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'] : [];
      const [command, ...words] = [...asNobody, DB];
      if (run([...asNobody, 'test'][0], [...asNobody, 'test', '-x', DB].slice(1)).code !== 0)
        return t.skip('another user cannot see this clone');
      const directory = newDirectory();
      if (isRoot) chownSync(directory, NOBODY, NOBODY);
      const result = run(command, [...words, 'start', kind, directory, '--owner', String(process.pid)], { timeoutMs: MINUTES });
      if (kind === 'timescale-apache') {
        assert.equal(result.code, 77);
        assert.match(result.stderr, /^SKIPPED: timescale-apache: needs root for the chroot$/m);
        return;
      }
      assert.equal(result.code, 0, result.stderr);
      assert.equal(await valueOf(result.stdout.trim().split('\n').at(-1), 'select 1'), '1');
      assert.equal(run(command, [...words, 'stop', directory]).code, 0);
      // Its own directory goes with it; the one above is the caller's.
      assertGone(directory);
    });
  }
});

const HYPERTABLE = `create table sample (time timestamptz not null, source int not null, rtt_us int);
  select create_hypertable('sample', 'time', chunk_time_interval => interval '1 hour');
  insert into sample select time, source, source * 10
    from generate_series('2026-01-01 00:00Z'::timestamptz, '2026-01-01 05:59:50Z', '10 s') time, generate_series(1, 20) source`;
const CHUNKS = `select count(*) from show_chunks('sample')`;

test('timescale-apache: hypertables in every new database, and the refusals of that edition', async (t) => {
  const url = startOrSkip(t, 'timescale-apache', newDirectory(), '--unsafe-fast');
  if (url === undefined) return;
  const make = (name) => withClient(url, (client) => client.query(`create database ${name}`));
  await Promise.all(['one', 'two', 'three'].map(make));
  await withClient(url.replace(/postgres$/, 'one'), async (client) => {
    await client.query(HYPERTABLE);
    assert.equal(await client.value(CHUNKS), '6');
    await client.query(`select drop_chunks('sample', '2026-01-01 03:00Z'::timestamptz)`);
    assert.equal(await client.value(CHUNKS), '3');
    assert.equal(await client.value(`select current_setting('timescaledb.license')`), 'apache');
    await assert.rejects(client.query(`select add_retention_policy('sample', interval '1 day')`), /apache/);
  });
});

describe('timescale-wasm', () => {
  let url;
  const directory = newDirectory();
  before((t) => (url = startOrSkip(t, 'timescale-wasm', directory)));

  const wasm = (name, work) =>
    test(name, async (t) => {
      if (url === undefined) return t.skip('see above');
      await work();
    });

  wasm('compression, continuous aggregates, policies and their jobs', () =>
    withClient(url, async (client) => {
      await client.query(HYPERTABLE);
      await client.query(`alter table sample set (timescaledb.compress, timescaledb.compress_segmentby = 'source')`);
      assert.equal(await client.value(`select count(compress_chunk(c)) from show_chunks('sample') c`), '6');
      await client.query(`create materialized view sample_1m with (timescaledb.continuous) as
        select time_bucket('1 minute', time) bucket, source, count(*) rows from sample group by 1, 2 with no data`);
      await client.query(`call refresh_continuous_aggregate('sample_1m', null, null)`);
      assert.equal(await client.value('select sum(rows) from sample_1m'), '43200');
      await client.query(`select add_compression_policy('sample', interval '1 hour')`);
      await client.query(`select add_continuous_aggregate_policy('sample_1m', interval '1 day', interval '1 minute', interval '1 minute')`);
      const job = await client.value(`select add_retention_policy('sample', interval '1 day')`);
      await client.query(`call run_job(${job})`);
      assert.equal(await client.value(CHUNKS), '0');
    }),
  );

  wasm('5000 rows in one UNNEST by the extended protocol', () =>
    withClient(url, async (client) => {
      const numbers = `{${Array.from({ length: 5000 }, (_, at) => 1_000_000 + at).join(',')}}`;
      await client.query('create table numbers (one int, two int, three float4)');
      await client.prepare('insert_numbers', 'insert into numbers select * from unnest($1::int[], $2::int[], $3::float4[])');
      for (let round = 0; round < 20; round += 1) await client.execute('insert_numbers', [numbers, numbers, numbers]);
      assert.equal(await client.value('select count(*) from numbers'), '100000');
    }),
  );

  wasm('COPY FROM STDIN is refused, aborts its transaction, and does no harm', () =>
    withClient(url, async (client) => {
      await client.query('create table target (number int); begin; select 1');
      await assert.rejects(client.query('copy target from stdin'), { code: '0A000' });
      await assert.rejects(client.query('select 1'), { code: '25P02' });
      await client.query('rollback');
      await assert.rejects(
        client.prepare('copying', 'COPY target (number) FROM STDIN (format binary)').then(() => client.execute('copying')),
        {
          code: '0A000',
        },
      );
      assert.equal(await client.value('select 1'), '1');
    }),
  );

  wasm('transactions of two connections do not mix, and a client that vanishes takes its own with it', async () => {
    const [one, two] = [await Client.open(url), await Client.open(url)];
    await one.query('create table ledger (number int)');
    await one.prepare('same_name', 'select 1');
    await one.query('begin; insert into ledger values (1)');
    // Waits for the end of the other's transaction.
    const seen = two.value('select count(*) from ledger');
    one.vanish();
    assert.equal(await seen, '0');
    await two.prepare('same_name', 'select 2');
    assert.deepEqual(await two.execute('same_name'), [['2']]);
    await two.query('set search_path = nowhere');
    await two.close();
    assert.equal(await valueOf(url, 'select count(*) from ledger'), '0', 'settings go with the last connection');
  });

  wasm('there is one database', () => assert.rejects(Client.open(url.replace(/postgres$/, 'other')), { code: '3D000' }));
});
