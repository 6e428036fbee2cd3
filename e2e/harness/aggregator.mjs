// An aggregator under test, and its API.
import { createServer } from 'node:net';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Daemon, program, run, runOk } from './programs.mjs';
import { Matrix } from './matrix.mjs';
import { finalError, until } from './wait.mjs';

/** A port that the system says is free now. Where it must be known before the program starts, because agents remember it. */
export function freePort(host) {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, host, () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

export class Aggregator {
  /** `prefix`: words in front of every command, such as `ip netns exec NAME`. */
  constructor({ directory, address, port, prefix = [] }) {
    Object.assign(this, { directory, address, port, prefix });
    this.data = join(directory, 'aggregator');
    this.password = 'correct horse battery staple 9';
    this.http = '127.0.0.1:0';
    mkdirSync(this.data, { recursive: true });
  }

  command(...args) {
    const words = [...this.prefix, program('aggregator'), ...args];
    return [words[0], words.slice(1)];
  }

  async start() {
    const ready = join(this.data, 'addresses.json');
    rmSync(ready, { force: true });
    const [command, args] = this.command(
      ...['serve', '--data-dir', this.data, '--listen', `${this.address}:${this.port}`],
      ...['--http', this.http, '--advertise', `https://${this.address}:${this.port}`],
    );
    const env = { EVERYPATH_ADMIN_PASSWORD: this.password };
    this.daemon = new Daemon('aggregator', command, args, join(this.directory, 'aggregator.log'), env);
    const addresses = await this.daemon.readyFile(ready);
    // The same port again after a restart, because an open page knows no other.
    this.http = addresses.http;
    this.url = `http://${addresses.http}`;
    await until('the aggregator answers /healthz', 20_000, async () => (await this.fetch('/healthz')).status === 200, 50);
    this.apiToken ??= this.print('api-token', 'create', '--data-dir', this.data, '--name', 'e2e', '--role', 'admin');
  }

  /** Runs a subcommand that prints one thing alone. */
  print(...args) {
    const [command, words] = this.command(...args);
    return runOk(command, words).trim();
  }

  joinToken(uses, expires = '1h') {
    return this.print('token', 'create', '--data-dir', this.data, '--uses', String(uses), '--expires', expires);
  }

  async fetch(path) {
    const headers = this.apiToken ? { authorization: `Bearer ${this.apiToken}` } : {};
    const signal = AbortSignal.timeout(5000);
    return fetch(this.url + path, { headers, signal });
  }

  async get(path) {
    const response = await this.fetch(path);
    const text = await response.text();
    if (response.status !== 200) throw new Error(`GET ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text);
  }

  async matrix() {
    return new Matrix(await this.get('/api/v1/matrix'));
  }

  /** Waits for a condition on the matrix; when it never comes, the complaint shows the last matrix. */
  async matrixUntil(what, timeoutMs, condition) {
    let last;
    return until(what, timeoutMs, async () => {
      if (!this.daemon.lives) throw finalError(`the aggregator has ended:\n${this.daemon.logEnd()}`);
      last = await this.matrix();
      return (await condition(last)) ? last : undefined;
    }).catch((error) => {
      throw new Error(`${error.message}\n${last ? last.text() : '(no matrix was ever read)'}`);
    });
  }

  /** Compares the agents' ledgers with the database. Returns exit code, totals and the whole output. */
  audit(agents) {
    const directories = agents.flatMap((agent) => ['--agent-dir', agent.data]);
    const [command, args] = this.command('audit', 'streams', '--data-dir', this.data, ...directories, '--json');
    const result = run(command, args, { timeoutMs: 120_000 });
    const lastLine = result.stdout.trim().split('\n').at(-1);
    let totals;
    try {
      totals = JSON.parse(lastLine);
    } catch {
      throw new Error(`the last line of 'audit streams --json' is no JSON (exit code ${result.code}):\n${result.output}`);
    }
    return { code: result.code, totals, output: result.output };
  }
}
