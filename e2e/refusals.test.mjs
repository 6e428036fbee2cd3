// What is wrong is refused, with an exit code and a sentence that says what is wrong; nothing panics and nothing is half done.
// Everything here stays on loopback and needs no privilege.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Agent } from './harness/agent.mjs';
import { Aggregator, freePort } from './harness/aggregator.mjs';
import { program, run, temporaryDirectory } from './harness/programs.mjs';
import { until } from './harness/wait.mjs';

const directory = temporaryDirectory('refusals');
let aggregator;
let count = 0;

before(async () => {
  aggregator = new Aggregator({ directory, address: '127.0.0.1', port: await freePort('127.0.0.1') });
  await aggregator.start();
});
after(() => aggregator.daemon.stop());

const newAgent = () => {
  count += 1;
  return new Agent({ directory, name: `stranger-${count}`, site: 'nowhere', address: `127.0.2.${count}` });
};

/** Refused in order: an error code, a sentence, no panic, no signal. */
function assertRefused(result, ...patterns) {
  assert.equal(result.signal, null, result.output);
  assert.notEqual(result.code, 0, `should have been refused: ${result.shown}\n${result.output}`);
  assert.notEqual(result.code, 101, `a panic is no refusal:\n${result.output}`);
  assert.doesNotMatch(result.output, /panicked at/);
  for (const pattern of patterns) assert.match(result.output, pattern);
}

test('a token that is used up', () => {
  const token = aggregator.joinToken(1);
  newAgent().joinOk(token);
  assertRefused(newAgent().join(token), /used/i);
});

test('the same agent joining again by its used token spends nothing and succeeds', () => {
  const token = aggregator.joinToken(1);
  const agent = newAgent();
  agent.joinOk(token);
  agent.joinOk(token);
});

test('a token that has expired', async () => {
  const token = aggregator.joinToken(9, '1s');
  const result = await until('the token expires', 20_000, () => {
    const attempt = newAgent().join(token);
    return attempt.code !== 0 && attempt;
  });
  assertRefused(result, /expired/i);
});

test('a token that is cut short, mistyped, or none at all', () => {
  const token = aggregator.joinToken(9);
  const middle = Math.floor(token.length / 2);
  const other = token[middle] === 'A' ? 'B' : 'A';
  for (const wrong of [token.slice(0, -5), token.slice(0, 10), token.slice(0, middle) + other + token.slice(middle + 1), 'hello', '']) {
    assertRefused(newAgent().join(wrong), /token/i);
  }
  // The right one still has all its uses.
  newAgent().joinOk(token);
});

test('a configuration file with an unknown key and a second error: both are reported', () => {
  const file = join(directory, 'aggregator.toml');
  // `lisen` is one letter away from `listen`.
  writeFileSync(file, '[server]\nlisen = "127.0.0.1:0"\nhttp = "not an address"\n');
  assertRefused(
    run(program('aggregator'), ['serve', '--config', file, '--data-dir', join(directory, 'never')]),
    /lisen/,
    /\blisten\b/,
    /not an address/,
  );
  const agentFile = join(directory, 'agent.toml');
  writeFileSync(agentFile, 'stauts = "127.0.0.1:0"\nlisten = "not an address"\n');
  assertRefused(
    run(program('mesh-agent'), ['run', '--config', agentFile, '--data-dir', join(directory, 'never')]),
    /stauts/,
    /\bstatus\b/,
    /not an address/,
  );
});

test('a configuration file that is not there is named', () => {
  const file = join(directory, 'no-such-file.toml');
  for (const [name, verb] of [
    ['aggregator', 'serve'],
    ['mesh-agent', 'run'],
  ]) {
    assertRefused(run(program(name), [verb, '--config', file, '--data-dir', join(directory, 'never')]), /no-such-file\.toml/);
  }
});

test('an agent that never joined says how to join', () => {
  const agent = newAgent();
  assertRefused(agent.run('run', '--data-dir', agent.data, '--listen', '127.0.2.250:0', '--status', '127.0.0.1:0'), /join/);
});

/** Host and port of the mesh's TCP address, whether written "a:p" or as a multiaddress. */
function tcpAddress(addresses) {
  for (const address of addresses) {
    const parts = /^\/ip4\/([^/]+)\/tcp\/(\d+)/.exec(address) ?? /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(address);
    if (parts) return { host: parts[1], port: Number(parts[2]) };
  }
  throw new Error(`no TCP address among ${JSON.stringify(addresses)}`);
}

/** Connects, says something or nothing, and tells how many bytes came back until the other side hung up. */
function stranger(address, words) {
  return new Promise((done, failed) => {
    let bytes = 0;
    const began = performance.now();
    const socket = connect(address, () => words && socket.write(words));
    socket.on('data', (data) => (bytes += data.length));
    // A connection that is reset was hung up too.
    socket.on('error', () => {});
    socket.on('close', () => done({ bytes, seconds: (performance.now() - began) / 1000 }));
    socket.setTimeout(30_000, () => {
      socket.destroy();
      failed(new Error('the agent kept a stranger for 30 s'));
    });
  });
}

test('a stranger at the mesh port gets little, not for long, and changes nothing', async () => {
  const agent = newAgent();
  agent.joinOk(aggregator.joinToken(1));
  await agent.start();
  const address = tcpAddress(agent.addresses.mesh);
  const greeting = '\x13/multistream/1.0.0\n\x0b/nonsense/1\n';
  for (const words of [undefined, 'GET / HTTP/1.0\r\n\r\n', Buffer.alloc(65_536, 0xff), greeting]) {
    const { bytes, seconds } = await stranger(address, words);
    assert.ok(bytes <= 8192, `${bytes} bytes for a stranger`);
    assert.ok(seconds <= 15, `${seconds} s for a stranger`);
  }
  const status = await fetch(`http://${agent.addresses.status}/healthz`);
  assert.equal(status.status, 200);
  await agent.stop();
});

test('the API refuses who has not signed in, in problem JSON', async () => {
  const { url } = aggregator;
  for (const path of ['/api/v1/agents', '/api/v1/matrix']) {
    const response = await fetch(url + path);
    assert.equal(response.status, 401);
    assert.match(response.headers.get('content-type'), /application\/problem\+json/);
    assert.equal((await response.json()).code, 'not_signed_in');
  }
  const body = JSON.stringify({ name: 'admin', password: 'wrong' });
  const login = await fetch(`${url}/api/v1/session`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'x-everypath-request': '1' },
  });
  assert.equal(login.status, 401);
  assert.equal((await login.json()).code, 'wrong_credentials');
});
