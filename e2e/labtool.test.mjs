// The lab by itself, without our programs: what it breaks is broken, and nothing else; what it made is gone afterwards.
// UDP datagrams tell the direction, which a ping cannot.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { needs } from './harness/components.mjs';
import { HOSTS, Lab, inPlace } from './harness/lab.mjs';
import { orderedPairs } from './harness/matrix.mjs';
import { ROOT, run, runOk } from './harness/programs.mjs';
import { until } from './harness/wait.mjs';

const machine = needs('namespaces');
const LAB = join(ROOT, 'deploy/lab/lab');
const PORT = 7000;

// One program a host: it sends one datagram to everybody, and prints the names whose datagrams came within the time.
const SPEAKER = `
  const peers = JSON.parse(process.argv[1]), me = process.argv[2], heard = new Set();
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', (words) => heard.add(String(words)));
  socket.bind(${PORT}, () => process.stdout.write('ready\\n'));
  process.stdin.once('data', () => {
    for (const address of Object.values(peers)) socket.send(me, ${PORT}, address, () => {});
    setTimeout(() => { console.log(JSON.stringify([...heard])); process.exit(0); }, 1000);
  });
`;

let lab;

/** The ordered pairs "source target" whose datagrams arrived. */
async function passing() {
  const peers = Object.fromEntries(HOSTS.map((host) => [host, lab.address(host)]));
  const speakers = HOSTS.map((host) => {
    const [command, ...words] = [...lab.inHost(host), process.execPath, '-e', SPEAKER, JSON.stringify(peers), host];
    const child = spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const speaker = { host, child, out: '' };
    child.stdout.on('data', (text) => (speaker.out += text));
    return speaker;
  });
  await until('all hosts listen', 20_000, () => speakers.every(({ out }) => out.includes('ready')), 20);
  for (const { child } of speakers) child.stdin.write('go\n');
  await until('all hosts are done', 20_000, () => speakers.every(({ out }) => out.trim().endsWith(']')), 20);
  return speakers
    .flatMap(({ host, out }) => JSON.parse(out.trim().split('\n').at(-1)).map((source) => `${source} ${host}`))
    .filter((pair) => pair.split(' ')[0] !== pair.split(' ')[1])
    .sort();
}

const without = (lost) => orderedPairs(HOSTS).filter((pair) => !lost(...pair.split(' ')));

before(() => {
  if (!machine.skip) lab = Lab.up();
});
after(() => lab?.down());

test('every host reaches every other', machine, async () => {
  assert.deepEqual(await passing(), orderedPairs(HOSTS));
});

test('cut loses both directions of one pair, also said twice, and inside a site', machine, async () => {
  lab.cut('alpha-1', 'beta-2');
  lab.cut('alpha-1', 'beta-2');
  lab.cut('gamma-1', 'gamma-2');
  const lost = [
    ['alpha-1', 'beta-2'],
    ['gamma-1', 'gamma-2'],
  ];
  const isLost = (source, target) => lost.some((pair) => pair.includes(source) && pair.includes(target));
  assert.deepEqual(await passing(), without(isLost));
  assert.match(lab.status(), /between alpha-1 and beta-2, both directions: cut/);
  lab.heal();
  assert.deepEqual(await passing(), orderedPairs(HOSTS));
});

test('oneway loses one direction, and the last word about a pair counts', machine, async () => {
  lab.cut('alpha-1', 'gamma-3');
  lab.oneway('alpha-1', 'gamma-3');
  assert.deepEqual(
    await passing(),
    without((source, target) => source === 'alpha-1' && target === 'gamma-3'),
  );
  assert.match(lab.status(), /from alpha-1 to gamma-3 \(the reverse lives\): cut/);
  lab.heal();
});

test('a site is cut from a site: eighteen pairs', machine, async () => {
  lab.cut('alpha', 'beta');
  const between = (a, b) => inPlace(a, 'alpha') && inPlace(b, 'beta');
  const expected = without((source, target) => between(source, target) || between(target, source));
  assert.equal(expected.length, 72 - 18);
  assert.deepEqual(await passing(), expected);
  lab.heal();
});

test('the aggregator can be cut off', machine, () => {
  const ask = (host) =>
    run(...spread([...lab.inHost(host), 'bash', '-c', `exec 3<>/dev/tcp/${lab.aggregatorAddress}/9`]), { timeoutMs: 1500 });
  // Nobody listens there: a host that reaches the machine is refused at once, one that does not waits for ever.
  assert.match(ask('beta-1').output, /refused/);
  lab.cut('beta-1', 'aggregator');
  assert.throws(() => ask('beta-1'), /did not end/);
  assert.match(ask('beta-2').output, /refused/);
  lab.heal();
});

test('bad arguments are refused by name', machine, () => {
  for (const [args, complaint] of [
    [['cut', 'alpha-1', 'delta-1'], /'delta-1' is not in this lab\. Name one of: alpha-1 /],
    [['loss', 'alpha', 'beta', '101'], /100 is the most/],
    [['loss', 'alpha', 'beta', 'much'], /'much' is not a share/],
    [['cut', 'alpha-1', 'alpha-1'], /one place/],
    [['dance'], /'dance' is not a verb/],
    [['cut', 'alpha-1'], /'cut' takes 2 arguments, not 1/],
  ]) {
    const result = run(LAB, args, { env: lab.env });
    assert.equal(result.code, 1, args.join(' '));
    assert.match(result.stderr, complaint);
  }
});

test('a lab that is up is not built twice, and its owner is named', machine, () => {
  const result = run(LAB, ['up'], { env: lab.env });
  assert.equal(result.code, 3);
  assert.match(result.stderr, new RegExp(`already up since .* belongs to process ${process.pid} `));
});

/** A number that no lab has, for the tests that build and kill their own. */
const OTHER = { EVERYPATH_LAB_ID: '61', EVERYPATH_LAB_OWNER: '' };
const traces = () => ({
  namespaces: existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => name.startsWith('everypath61')) : [],
  links: readdirSync('/sys/class/net').filter((name) => name.startsWith('everypath61')),
  routes: runOk('ip', ['route'])
    .split('\n')
    .filter((line) => line.includes('10.144.')),
});
const NONE = { namespaces: [], links: [], routes: [] };

test('killed at any moment, the next down or up leaves nothing behind', machine, async () => {
  for (const [delayMs, next] of [20, 60, 100, 150, 200, 300].flatMap((delay) => [
    [delay, 'down'],
    [delay, 'up'],
  ])) {
    const child = spawn(LAB, ['up'], { env: { ...process.env, ...OTHER }, stdio: 'ignore' });
    const gone = new Promise((done) => child.once('exit', done));
    // The moment itself is the point here: any will do.
    setTimeout(() => child.kill('SIGKILL'), delayMs);
    await gone;
    const result = run(LAB, [next], { env: OTHER });
    // On a fast machine `up` may have been done before the kill.
    assert.ok(result.code === 0 || (next === 'up' && result.code === 3), result.output);
    runOk(LAB, ['down'], { env: OTHER });
    assert.deepEqual(traces(), NONE, `after SIGKILL at ${delayMs} ms and ${next}`);
  }
});

test('Ctrl-C while it is built removes what was built', machine, async () => {
  const child = spawn(LAB, ['up'], { env: { ...process.env, ...OTHER }, stdio: 'ignore' });
  const gone = new Promise((done) => child.once('exit', done));
  await until('a namespace is there', 10_000, () => traces().namespaces.length > 1, 5);
  child.kill('SIGINT');
  assert.equal(await gone, 130);
  assert.deepEqual(traces(), NONE);
});

test('what it did not make it does not touch', machine, () => {
  runOk('ip', ['netns', 'add', 'everypath61-beta-2']);
  try {
    for (const verb of ['up', 'down']) {
      const result = run(LAB, [verb], { env: OTHER });
      assert.equal(result.code, 1);
      assert.match(result.stderr, /everypath61-beta-2 exists, and .* does not say that a lab made it/);
    }
    assert.deepEqual(traces().namespaces, ['everypath61-beta-2']);
  } finally {
    runOk('ip', ['netns', 'delete', 'everypath61-beta-2']);
  }
  assert.deepEqual(traces(), NONE);
});

test('the lab of a dead owner is removed by whoever comes next', machine, async () => {
  const owner = spawn('sleep', ['600']);
  runOk(LAB, ['up'], { env: { ...OTHER, EVERYPATH_LAB_OWNER: String(owner.pid) } });
  const inside = spawn('ip', ['netns', 'exec', 'everypath61-alpha-1', 'sleep', '600']);
  const ended = new Promise((done) => inside.once('exit', done));
  await until('the program runs inside', 5000, () => run('ip', ['netns', 'pids', 'everypath61-alpha-1']).stdout.trim() !== '', 20);
  const gone = new Promise((done) => owner.once('exit', done));
  owner.kill('SIGKILL');
  await gone;
  const another = { EVERYPATH_LAB_ID: '62', EVERYPATH_LAB_OWNER: String(process.pid) };
  runOk(LAB, ['up'], { env: another });
  assert.deepEqual(traces(), NONE);
  await ended;
  runOk(LAB, ['down'], { env: another });
});

function spread([command, ...args]) {
  return [command, args];
}
