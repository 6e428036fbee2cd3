// Starting, watching and ending programs.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, closeSync, readFileSync, readdirSync, readlinkSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onExit } from './cleanup.mjs';
import { until, finalError } from './wait.mjs';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** Where a built program is; EVERYPATH_BIN_DIR names another place than cargo's. */
export function program(name) {
  const directory = process.env.EVERYPATH_BIN_DIR ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target'), 'debug');
  const path = join(directory, name);
  if (!existsSync(path)) throw new Error(`there is no program ${path}: build it with 'cargo build --locked', or set EVERYPATH_BIN_DIR`);
  return path;
}

/** A directory that is gone when the test is. Others may enter, because some programs run as another user. */
export function temporaryDirectory(label) {
  const path = mkdtempSync(join(tmpdir(), `everypath-e2e-${label}-`));
  chmodSync(path, 0o755);
  if (process.env.EVERYPATH_E2E_KEEP) console.log(`# keeping ${path}`);
  else onExit(() => rmSync(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

/** Runs a command to its end. Never throws for an exit code: the test judges it. */
export function run(command, args, { env = {}, timeoutMs = 60_000, input } = {}) {
  const result = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    input,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error && result.error.code !== 'ETIMEDOUT') throw result.error;
  const shown = [command, ...args].join(' ');
  if (result.error) throw new Error(`'${shown}' did not end within ${timeoutMs / 1000} s:\n${result.stdout}${result.stderr}`);
  return {
    code: result.status,
    signal: result.signal,
    stdout: result.stdout,
    stderr: result.stderr,
    output: result.stdout + result.stderr,
    shown,
  };
}

/** The same, for commands that must succeed. Returns what they printed. */
export function runOk(command, args, options) {
  const result = run(command, args, options);
  if (result.code !== 0) throw new Error(`'${result.shown}' ended with ${result.code ?? result.signal}:\n${result.output}`);
  return result.stdout;
}

/** Lets the kernel end a program when this process is killed in a way that leaves no time to do it. */
const BOUND_TO_US = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL', '--'] : [];

/** A program in the background, its output in a file. */
export class Daemon {
  constructor(label, command, args, logFile, env = {}) {
    this.label = label;
    this.startedAt = performance.now();
    this.logFile = logFile;
    const log = openSync(logFile, 'a');
    const words = [...BOUND_TO_US, command, ...args];
    this.child = spawn(words[0], words.slice(1), { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
    closeSync(log);
    this.ended = new Promise((done) => {
      this.child.once('error', (error) => done({ code: null, signal: null, error }));
      this.child.once('exit', (code, signal) => done({ code, signal }));
    });
    this.forget = onExit(() => this.child.kill('SIGKILL'));
    this.ended.then(() => this.forget());
  }

  get pid() {
    return this.child.pid;
  }

  get lives() {
    return this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined;
  }

  log() {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : '';
  }

  logEnd() {
    return this.log().split('\n').slice(-25).join('\n');
  }

  async kill9() {
    this.child.kill('SIGKILL');
    return this.ended;
  }

  /** SIGTERM, and the exit that it must lead to. */
  async stop(timeoutMs = 20_000) {
    if (this.lives) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), timeoutMs);
    const end = await this.ended;
    clearTimeout(timer);
    if (end.signal === 'SIGKILL') throw new Error(`${this.label} did not end within ${timeoutMs / 1000} s of SIGTERM:\n${this.logEnd()}`);
    return end;
  }

  /** Waits for the JSON file that the program writes when it is ready. */
  async readyFile(path, timeoutMs = 30_000) {
    return until(
      `${this.label} writes ${path}`,
      timeoutMs,
      () => {
        if (!this.lives) throw finalError(`${this.label} ended before it was ready:\n${this.logEnd()}`);
        return existsSync(path) && JSON.parse(readFileSync(path, 'utf8'));
      },
      50,
    ).catch((error) => {
      throw error.final ? error : new Error(`${error.message}\n${this.logEnd()}`);
    });
  }
}

/** Whether a process has a TCP socket of 127.0.0.1 with this port at its end. */
export function holdsPort(pid, port) {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  const sockets = rows.map((row) => row.trim().split(/\s+/)).filter((row) => row[1] === local);
  const wanted = new Set(sockets.map((row) => `socket:[${row[9]}]`));
  const files = `/proc/${pid}/fd`;
  return readdirSync(files).some((file) => {
    try {
      return wanted.has(readlinkSync(join(files, file)));
    } catch {
      // It was closed since the folder was read.
      return false;
    }
  });
}
