// `make demo` as a stranger runs it: the page's address, a name and a password are printed, the matrix fills within a minute,
// and after Ctrl-C nothing is left.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { onExit } from './harness/cleanup.mjs';
import { needs } from './harness/components.mjs';
import { Matrix } from './harness/matrix.mjs';
import { ROOT, program, runOk, temporaryDirectory } from './harness/programs.mjs';
import { finalError, secondsSince, until } from './harness/wait.mjs';

const LAB_ID = '19';

async function runDemo(env, directory) {
  const demo = spawn(join(ROOT, 'deploy/demo.sh'), {
    // A port of the system's choice; the programs are built already.
    env: { ...process.env, EVERYPATH_DEMO_PORT: '0', EVERYPATH_BIN_DIR: dirname(program('aggregator')), TMPDIR: directory, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onExit(() => demo.kill('SIGTERM'));
  try {
    await watchDemo(demo, directory);
  } finally {
    // A test that failed must not wait for a demo that runs until somebody ends it.
    if (demo.exitCode === null) demo.kill('SIGTERM');
  }
}

async function watchDemo(demo, directory) {
  let output = '';
  for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (text) => (output += text));
  const ended = new Promise((done) => demo.once('exit', (code) => done(code)));
  const find = (what, pattern, timeoutMs) =>
    until(what, timeoutMs, () => {
      if (demo.exitCode !== null) throw finalError(`the demo ended with ${demo.exitCode}:\n${output}`);
      return pattern.exec(output)?.[1];
    });

  const url = await find('the demo prints its page', /(http:\/\/127\.0\.0\.1:\d+)/, 60_000);
  const firstPage = performance.now();
  const password = await find('the demo prints a password', /Password +(\S+)/, 5000);
  const headers = { 'content-type': 'application/json', 'x-everypath-request': '1' };
  const login = await fetch(`${url}/api/v1/session`, { method: 'POST', headers, body: JSON.stringify({ name: 'admin', password }) });
  assert.equal(login.status, 200, output);
  const cookie = login.headers.get('set-cookie').split(';')[0];
  let last;
  await until('all 72 pairs are measured', 60_000, async () => {
    const answer = await fetch(`${url}/api/v1/matrix`, { headers: { cookie, accept: 'application/json' } });
    last = new Matrix(await answer.json());
    return last.measured.length === 72;
  }).catch((error) => {
    throw new Error(`${error.message}\n${last?.text()}\n${output}`);
  });
  console.log(`# 72 pairs measured ${secondsSince(firstPage)} s after the page`);
  demo.kill('SIGINT');
  const code = await ended;
  assert.equal(code, 0, output);
  assert.match(output, /All gone\./);
  assert.deepEqual(readdirSync(directory), [], 'temporary directories of the demo are left');
  await assert.rejects(fetch(url), 'the page still answers');
}

test('in the lab', needs('namespaces'), async () => {
  await runDemo({ EVERYPATH_LAB_ID: LAB_ID }, temporaryDirectory('demo-lab'));
  assert.doesNotMatch(runOk('ip', ['netns']), new RegExp(`everypath${LAB_ID}-`));
});

test('on loopback', needs('pings'), async () => {
  await runDemo({ EVERYPATH_DEMO_LOOPBACK: '1' }, temporaryDirectory('demo-loopback'));
});
