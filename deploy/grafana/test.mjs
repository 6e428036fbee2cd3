// Runs every query of every dashboard and every rule against a database and a Prometheus that two replicas, real agents and a
// load have filled, and wants rows from each. Called by test.sh in a network namespace of its own, where this drops packets, with
//   EVERYPATH_TEST_DATABASE_URL   an empty database with TimescaleDB
//   EVERYPATH_PROMETHEUS          the program `prometheus`
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Agent } from '../../e2e/harness/agent.mjs';
import { freePort } from '../../e2e/harness/aggregator.mjs';
import { Daemon, program, run, runOk, temporaryDirectory } from '../../e2e/harness/programs.mjs';
import { Replica } from '../../e2e/harness/replicas.mjs';
import { until } from '../../e2e/harness/wait.mjs';
import { ROOT, dashboards, expandPromql, expandSql, queries } from './dashboards.mjs';

const HOST = '127.0.0.1';
const OWNER = process.env.EVERYPATH_TEST_DATABASE_URL;
const READER = OWNER.replace(/\/\/[^@]+@/, '//grafana@');
const NAMES = ['one', 'two', 'three'];
const directory = temporaryDirectory('grafana');
const began = new Date();
const started = [];
let replicas;
let prometheus;

/** Rows as arrays of text. The connection's own settings are those of the role. */
function psql(url, statement, extra = []) {
  const words = ['--no-psqlrc', '--quiet', '--csv', '--set', 'ON_ERROR_STOP=1', ...extra, '--command', statement, url];
  return runOk('psql', words, { timeoutMs: 30_000 })
    .trim()
    .split('\n')
    .slice(1)
    .filter((line) => line !== '');
}

async function ask(path, query) {
  const response = await fetch(`${prometheus}${path}?${new URLSearchParams(query)}`, { signal: AbortSignal.timeout(5_000) });
  const { status, data, error } = await response.json();
  if (status !== 'success') throw new Error(error);
  return data;
}

async function startReplicas() {
  const key = join(directory, 'seal.key');
  runOk(program('aggregator'), ['keygen', key]);
  const env = { EVERYPATH_AGGREGATOR_DATABASE__URL: OWNER, EVERYPATH_AGGREGATOR_DATABASE__KEY_FILE: key };
  replicas = [];
  for (const name of ['replica-1', 'replica-2']) {
    mkdirSync(join(directory, name));
    replicas.push(new Replica({ directory, name, port: await freePort(HOST), env }));
  }
  await Promise.all(replicas.map((replica) => replica.start()));
  started.push(...replicas.map((replica) => replica.daemon));
}

/** Three agents that ping each other, and a load of synthetic ones with loss and changes of state. */
async function startAgents() {
  const [first] = replicas;
  const agents = NAMES.map((name, at) => new Agent({ directory, name, site: at < 2 ? 'alpha' : 'beta', address: `127.0.2.${at + 1}` }));
  for (const agent of agents) agent.joinOk(first.tokenFor(1, replicas));
  await Promise.all(agents.map((agent) => agent.start()));
  started.push(...agents.map((agent) => agent.daemon));
  const words = ['load', '--token', first.tokenFor(6, replicas), '--agents', '6', '--targets', '5', '--seconds', '600'];
  const load = new Daemon('load', 'env', ['-C', directory, program('everypath-bench'), ...words], join(directory, 'load.log'));
  started.push(load);
  return agents;
}

async function startPrometheus(agents) {
  const port = await freePort(HOST);
  const targets = (all) => JSON.stringify(all);
  writeFileSync(
    join(directory, 'prometheus.yml'),
    `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["${ROOT}/deploy/prometheus/*.rules.yml"]
scrape_configs:
  - { job_name: everypath-aggregator, static_configs: [{ targets: ${targets(replicas.map(({ http }) => http))} }] }
  - { job_name: everypath-agent, static_configs: [{ targets: ${targets(agents.map(({ addresses }) => addresses.status))} }] }
`,
  );
  const words = [`--config.file=${join(directory, 'prometheus.yml')}`, `--storage.tsdb.path=${join(directory, 'tsdb')}`];
  const daemon = new Daemon(
    'prometheus',
    process.env.EVERYPATH_PROMETHEUS,
    [...words, `--web.listen-address=${HOST}:${port}`],
    join(directory, 'prometheus.log'),
  );
  started.push(daemon);
  prometheus = `http://${HOST}:${port}`;
  await until('Prometheus scrapes everything', 30_000, async () => {
    const { result } = await ask('/api/v1/query', { query: 'sum(up)' });
    return Number(result[0]?.value[1]) === replicas.length + agents.length;
  });
}

before(async () => {
  await startReplicas();
  const agents = await startAgents();
  await startPrometheus(agents);
  runOk('psql', [
    '--no-psqlrc',
    '--quiet',
    '--set',
    'password=secret',
    '--set',
    'ON_ERROR_STOP=1',
    '--file',
    join(ROOT, 'deploy/grafana/reader.sql'),
    OWNER,
  ]);
  // Somebody mistypes a password.
  const headers = { 'content-type': 'application/json', 'x-everypath': '1' };
  await fetch(`${replicas[0].url}/api/v1/session`, { method: 'POST', headers, body: '{"name":"admin","password":"wrong"}' });
  await until(
    'results of all three are in the sums',
    120_000,
    () => psql(OWNER, 'select distinct source from sample_minute').length >= NAMES.length + 6,
  );
  // The address of an agent that is gone goes on to answer on loopback, unless somebody drops what it is sent.
  await agents[2].stop();
  runOk('nft', [
    `add table inet away; add chain inet away in { type filter hook input priority 0; }; add rule inet away in ip daddr ${agents[2].address} drop`,
  ]);
  await until('the others say so', 60_000, () => psql(OWNER, 'select 1 from event where to_state = 4').length >= 2);
  await until('that is in the sums', 120_000, () => psql(OWNER, 'select 1 from sample_minute where down_ms > 0').length >= 2);
  // Agents give up results when their disk is full for days. This test does not wait for that.
  psql(
    OWNER,
    "insert into tombstone select id, 1000000, 1000041, 'buffer_full', now() from stream s where agent in (select id from agent where name = 'one') limit 1",
  );
});

after(async () => {
  for (const daemon of started.reverse()) if (daemon.lives) await daemon.kill9();
});

const VARIABLES = { from: ['alpha', 'beta', 'site-0', "o'hara"], one: ['one'], other: ['two'], agent: ['one'], instance: ['.+'] };
VARIABLES.to = VARIABLES.from;

/** Runs one query in each way in which Grafana may send it. Returns the fewest rows of all of them. */
function rowsOfSql({ text }) {
  let fewest = Infinity;
  for (const sums of ['sample_minute', 'sample_hour', 'sample_day'])
    for (const timescale of [true, false]) {
      if (sums !== 'sample_minute' && (!timescale || !text.includes('${sums'))) continue;
      // Sums of a day begin at midnight.
      const from = sums === 'sample_minute' ? began : new Date(began - 86_400_000);
      // A bucket begins before what is in it.
      const statement = expandSql(text, {
        variables: { ...VARIABLES, sums: [sums] },
        from: new Date(from - 60_000),
        to: new Date(),
        timescale,
      });
      fewest = Math.min(fewest, psql(READER, statement).length);
    }
  return fewest;
}

async function rowsOfPromql({ text, where }) {
  const asked = /^label_values\((.*), (\w+)\)$/.exec(text);
  if (asked) return (await ask(`/api/v1/label/${asked[2]}/values`, { 'match[]': asked[1] })).length;
  const { result } = await ask('/api/v1/query', { query: expandPromql(text, { variables: VARIABLES }) });
  assert.ok(Array.isArray(result), where);
  return result.length;
}

for (const [file, board] of dashboards())
  test(`every query of ${file} returns rows`, async () => {
    const all = queries(board);
    let rows = 0;
    for (const query of all) {
      const found = query.kind === 'prometheus' ? await rowsOfPromql(query) : rowsOfSql(query);
      assert.ok(found > 0, `${query.where}: no rows from\n${query.text}`);
      rows += found;
    }
    console.log(`# ${file}: ${all.length} queries, ${rows} rows`);
  });

test('the role of Grafana reads no secrets and writes nothing', () => {
  for (const statement of [
    'select * from secret',
    'select * from session',
    'select * from user_account',
    'delete from sample',
    'create table x (y int)',
  ]) {
    const { code, output } = run('psql', ['--no-psqlrc', '--set', 'ON_ERROR_STOP=1', '--command', statement, READER]);
    assert.ok(code !== 0 && /permission denied/.test(output), `${statement}: ${output}`);
  }
});

test('every rule is evaluated without an error, and what was broken here is all that is pending', async () => {
  const { groups } = await ask('/api/v1/rules', {});
  const rules = groups.flatMap(({ rules: inside }) => inside);
  assert.ok(rules.length > 20);
  for (const rule of rules) assert.equal(rule.health, 'ok', `${rule.name}: ${rule.lastError}`);
  const { result } = await ask('/api/v1/query', { query: 'ALERTS' });
  assert.deepEqual([...new Set(result.map(({ metric }) => metric.alertname))], ['EverypathAgentGone']);
});

test('the expressions of the rules find their metrics', async () => {
  // Without its comparison each expression must have a value, or it could never fire.
  const { groups } = await ask('/api/v1/rules', {});
  const silent = [];
  for (const { name, query } of groups.flatMap(({ rules: inside }) => inside)) {
    const bare = query.replaceAll(/ (==|>|<) (bool )?[0-9.]+/g, '').replace(/ unless[\s\S]*/, '');
    const { result } = await ask('/api/v1/query', { query: bare });
    if (result.length === 0) silent.push(name);
  }
  // These count what did not happen here, and appear when it does.
  const rare = [
    'EverypathStoreDamaged',
    'EverypathJobFails',
    'EverypathBatchesRefused',
    'EverypathAggregatorBusy',
    'EverypathAgentNotMeasuring',
    'EverypathAgentPanicked',
    'EverypathConfigRefused',
  ];
  assert.deepEqual(
    silent.filter((name) => !rare.includes(name)),
    [],
  );
});
