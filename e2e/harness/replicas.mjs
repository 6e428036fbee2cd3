// Several aggregators on one PostgreSQL, the load on them, and what they say of it.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Aggregator } from './aggregator.mjs';
import { onExit } from './cleanup.mjs';
import { Daemon, ROOT, program, run, runOk, temporaryDirectory } from './programs.mjs';
import { finalError, until } from './wait.mjs';

const DB = join(ROOT, 'deploy/db/db');
const HOST = '127.0.0.1';

/** A PostgreSQL server of deploy/db. Crashes of it are part of the tests, so nothing is traded for speed. */
export class Database {
  constructor() {
    this.directory = temporaryDirectory('database');
    this.forget = onExit(() => run(DB, ['stop', this.directory]));
    const result = run(DB, ['start', 'postgres', this.directory], { timeoutMs: 600_000 });
    if (result.code !== 0) throw new Error(`the database cannot be started:\n${result.output}`);
    this.url = result.stdout.trim().split('\n').at(-1);
  }

  kill9() {
    runOk(DB, ['kill', this.directory]);
  }

  restart() {
    runOk(DB, ['restart', this.directory], { timeoutMs: 120_000 });
  }

  stop() {
    runOk(DB, ['stop', this.directory]);
    this.forget();
  }
}

/**
 * A free port below those that the kernel gives to outgoing connections: a program that is killed must find its port again, and
 * until then none of the many connections of a load may sit on it.
 */
async function quietPort() {
  const [low] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
  const end = low > 12_000 ? low : 32_768;
  return until('a port is free', 10_000, () => isFree(10_000 + Math.floor(Math.random() * (end - 10_000))), 1);
}

function isFree(port) {
  return new Promise((done) => {
    const server = createServer();
    server.once('error', () => done(false));
    server.listen(port, HOST, () => server.close(() => done(port)));
  });
}

/** One of several aggregators on the same database. */
export class Replica extends Aggregator {
  constructor({ directory, name, port, env }) {
    const words = Object.entries({ NO_COLOR: '1', ...env }).map(([key, value]) => `${key}=${value}`);
    super({ directory: join(directory, name), address: HOST, port, prefix: ['env', ...words] });
    this.name = name;
    this.log = join(this.directory, 'aggregator.log');
    // They share one, because a second one of the same name replaces the first.
    this.apiToken = '';
  }

  get tlsUrl() {
    return `https://${this.address}:${this.port}`;
  }

  /** One number of /metrics; all label values together. */
  async metric(name) {
    const response = await this.fetch('/metrics');
    const lines = (await response.text()).split('\n');
    const values = lines.filter((line) => line.startsWith(`everypath_aggregator_${name}`) && /[ {]/.test(line[21 + name.length]));
    return values.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  }

  async leads() {
    return (await this.metric('is_leader')) === 1;
  }

  /** The terms that this replica has led in, over all its lives. */
  terms() {
    return [...readFileSync(this.log, 'utf8').matchAll(/this replica does the jobs now.* term=(\d+)/g)].map(([, term]) => Number(term));
  }

  /** A join token for agents that know only these replicas. */
  tokenFor(uses, replicas) {
    const urls = replicas.flatMap((replica) => ['--advertise', replica.tlsUrl]);
    return this.print('token', 'create', '--data-dir', this.data, '--uses', String(uses), '--expires', '2h', ...urls);
  }

  /** One pair over time. `asked` is the query. */
  series(source, target, asked) {
    return this.get(`/api/v1/pairs/${source}/${target}/series?${new URLSearchParams(asked)}`);
  }

  /** Compares the accounts of loads with the database. */
  auditLedgers(ledgers) {
    const files = ledgers.flatMap((file) => ['--ledger', file]);
    const [command, args] = this.command('audit', 'streams', '--data-dir', this.data, ...files, '--json');
    const result = run(command, args, { timeoutMs: 300_000 });
    if (result.code !== 0 && result.code !== 1) throw new Error(`the audit ended with ${result.code}:\n${result.output}`);
    return { totals: JSON.parse(result.stdout.trim().split('\n').at(-1)), output: result.output };
  }
}

/** The replicas, and what is asked of all of them. */
export class Replicas {
  /** Starts `count` of them at the same moment on a database that is empty. */
  static async start(label, count) {
    const directory = temporaryDirectory(label);
    const database = new Database();
    const keyFile = join(directory, 'seal.key');
    runOk(program('aggregator'), ['keygen', keyFile]);
    const env = { EVERYPATH_AGGREGATOR_DATABASE__URL: database.url, EVERYPATH_AGGREGATOR_DATABASE__KEY_FILE: keyFile };
    const all = [];
    for (let number = 1; number <= count; number += 1) {
      all.push(new Replica({ directory, name: `replica-${number}`, port: await quietPort(), env }));
    }
    const replicas = new Replicas({ directory, database, all, env });
    await Promise.all(all.map((replica) => replica.start()));
    const [first] = all;
    const token = first.print('api-token', 'create', '--data-dir', first.data, '--name', 'e2e', '--role', 'admin');
    for (const replica of all) replica.apiToken = token;
    return replicas;
  }

  constructor(parts) {
    Object.assign(this, parts);
    this.rowsOf = new Map();
    this.loads = 0;
  }

  async stop() {
    const living = this.all.filter((replica) => replica.daemon?.lives);
    // A test that failed may have left one suspended.
    for (const { daemon } of living) daemon.child.kill('SIGCONT');
    await Promise.all(living.map((replica) => replica.daemon.stop()));
    this.database.stop();
  }

  /** A test that failed may have left one ended or suspended: the next test finds all of them. */
  async restore() {
    for (const replica of this.all) {
      if (replica.daemon.lives) replica.daemon.child.kill('SIGCONT');
      else await replica.start();
    }
  }

  /** Those that say that they lead. A replica that cannot be asked says nothing. */
  async leaders() {
    const leads = await Promise.all(this.all.map((replica) => replica.leads().catch(() => false)));
    return this.all.filter((_, at) => leads[at]);
  }

  /** The only one that leads, once there is exactly one. */
  async leaderWithin(timeoutMs, isWanted = () => true) {
    return until(
      'exactly one replica leads',
      timeoutMs,
      async () => {
        const leaders = await this.leaders();
        return leaders.length === 1 && isWanted(leaders[0]) && leaders[0];
      },
      100,
    );
  }

  /** Rows stored by all of them, their lives before a kill included. Throws while one that lives cannot be asked. */
  async rows() {
    let sum = 0;
    for (const replica of this.all) {
      const counts = this.rowsOf.get(replica) ?? { pid: replica.daemon.pid, ended: 0, last: 0 };
      this.rowsOf.set(replica, counts);
      if (counts.pid !== replica.daemon.pid) Object.assign(counts, { pid: replica.daemon.pid, ended: counts.ended + counts.last, last: 0 });
      if (replica.daemon.lives) counts.last = await replica.metric('ingest_rows_total');
      sum += counts.ended + counts.last;
    }
    return sum;
  }

  /** Waits until this many more rows are stored. How a test finds a moment without looking at the clock. */
  async moreRows(count, load) {
    const before = await until('all replicas say how many rows they stored', 30_000, () => this.rows(), 20);
    await until(
      `${count} more rows are stored`,
      60_000,
      async () => {
        if (!load.daemon.lives) throw finalError(`the load ended too early:\n${load.daemon.logEnd()}`);
        return (await this.rows()) >= before + count;
      },
      20,
    );
  }

  /** Starts a load over all replicas, by another fleet each time, and waits until all of it has joined. */
  async startLoad(options) {
    this.loads += 1;
    // Keys are made from seed and number, and two fleets must not share one.
    const load = new Load(this, { seed: this.loads * 1_024, ...options });
    const names = load.names();
    await until('the agents of the load have joined', 30_000, async () => {
      if (!load.daemon.lives) throw finalError(`the load ended too early:\n${load.daemon.logEnd()}`);
      const { agents } = await this.all[0].get('/api/v1/agents');
      const known = new Set(agents.map((agent) => agent.name));
      return names.every((name) => known.has(name));
    });
    return load;
  }
}

/** Synthetic agents that send as fast as they can. */
export class Load {
  constructor(replicas, { seed, agents, targets, seconds, rowsPerBatch = 1_000 }) {
    Object.assign(this, { seed, agents, targets, replicas });
    const label = `load-${seed}`;
    this.ledger = join(replicas.directory, `${label}.ledger.json`);
    const token = replicas.all[0].tokenFor(agents, replicas.all);
    const urls = replicas.all.flatMap((replica) => ['--url', replica.tlsUrl]);
    const words = ['load', '--token', token, ...urls, '--agents', agents, '--targets', targets, '--seconds', seconds];
    const flood = ['--flood', '--rows-per-batch', rowsPerBatch, '--seed', seed, '--ledger', this.ledger];
    // It leaves its figures below the directory it runs in.
    const args = ['-C', replicas.directory, program('everypath-bench'), ...words, ...flood].map(String);
    this.daemon = new Daemon(label, 'env', args, join(replicas.directory, `${label}.log`));
  }

  names() {
    return Array.from({ length: this.agents }, (_, number) => `load-${this.seed}-${number}`);
  }

  /** The pairs that it measures: everybody the next ones behind it. */
  pairs() {
    const names = this.names();
    const targets = (place) => Array.from({ length: this.targets }, (_, step) => names[(place + step + 1) % names.length]);
    return names.flatMap((source, place) => targets(place).map((target) => ({ source, target })));
  }

  /** What it says of itself at its end. */
  async figures() {
    const { code } = await this.daemon.ended;
    if (code !== 0) throw new Error(`the load ended with ${code}:\n${this.daemon.logEnd()}`);
    return JSON.parse(this.daemon.log().trim().split('\n').at(-1));
  }

  /** What its agents count as stored, records of all together. */
  acked() {
    const ledgers = JSON.parse(readFileSync(this.ledger, 'utf8'));
    return ledgers.reduce((sum, { entries }) => sum + entries.reduce((rows, entry) => rows + entry.acked, 0), 0);
  }
}

/** Many keys redeem one token at once. */
export function joinRace(replicas, token, keys) {
  const urls = replicas.all.flatMap((replica) => ['--url', replica.tlsUrl]);
  const args = ['-C', replicas.directory, program('everypath-bench'), 'join-race', '--token', token, ...urls, '--keys', String(keys)];
  return JSON.parse(runOk('env', args, { timeoutMs: 120_000 }).trim().split('\n').at(-1));
}
