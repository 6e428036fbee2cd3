// Without the lab and without root: three agents on loopback addresses. Where the kernel allows pings they measure; where it does
// not, every path says unknown (never loss) and the agent says which setting forbids it. As root both kernels are made, as fresh
// namespaces, and the programs run in them as nobody; without root the machine is tested as it is.
import assert from 'node:assert/strict';
import { chownSync, copyFileSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Agent } from './harness/agent.mjs';
import { Aggregator, freePort } from './harness/aggregator.mjs';
import { onExit } from './harness/cleanup.mjs';
import { IS_ROOT, needs, pingsAreAllowed } from './harness/components.mjs';
import { fetchInside } from './harness/inside.mjs';
import { orderedPairs } from './harness/matrix.mjs';
import { program, run, runOk, temporaryDirectory } from './harness/programs.mjs';
import { holdsFor } from './harness/wait.mjs';

const NOBODY = 65534;
const NAMES = ['one', 'two', 'three'];
const ALL = orderedPairs(NAMES);

/** A network namespace with nothing but loopback, and pings allowed or not. */
function freshNamespace(label, pingGroups) {
  const name = `everypath-e2e-${process.pid}-${label}`;
  runOk('ip', ['netns', 'add', name]);
  onExit(() => run('ip', ['netns', 'delete', name]));
  runOk('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  runOk('ip', ['netns', 'exec', name, 'sysctl', '-qw', `net.ipv4.ping_group_range=${pingGroups}`]);
  // Becoming another user forgets which signal follows the starter's death, so it is said again.
  const asNobody = [
    'setpriv',
    '--reuid',
    `${NOBODY}`,
    '--regid',
    `${NOBODY}`,
    '--clear-groups',
    '--bounding-set',
    '-all',
    '--pdeathsig',
    'KILL',
  ];
  return ['ip', 'netns', 'exec', name, ...asNobody, '--'];
}

/** Nobody may not be allowed into the directory of the build, so the programs are copied to where they may be read. */
function programsFor(directory) {
  const copies = join(directory, 'programs');
  mkdirSync(copies);
  for (const name of ['aggregator', 'mesh-agent']) copyFileSync(program(name), join(copies, name), constants.COPYFILE_FICLONE);
  process.env.EVERYPATH_BIN_DIR = copies;
}

async function startThree(label, prefix) {
  const directory = temporaryDirectory(`loopback-${label}`);
  if (IS_ROOT) chownSync(directory, NOBODY, NOBODY);
  if (IS_ROOT) programsFor(directory);
  // Any port is free in a fresh namespace.
  const port = prefix.length > 0 ? 8443 : await freePort('127.0.0.1');
  const aggregator = new Aggregator({ directory, address: '127.0.0.1', port, prefix });
  if (IS_ROOT) {
    chownSync(aggregator.data, NOBODY, NOBODY);
    aggregator.fetch = (path) => fetchInside(prefix, aggregator.url + path, aggregator.apiToken);
  }
  await aggregator.start();
  const token = aggregator.joinToken(NAMES.length);
  const agents = NAMES.map((name, index) => new Agent({ directory, name, site: `site-${name}`, address: `127.0.1.${index + 1}`, prefix }));
  for (const agent of agents) agent.joinOk(token);
  await Promise.all(agents.map((agent) => agent.start()));
  return { aggregator, agents };
}

async function stopThree({ aggregator, agents }) {
  await Promise.all(agents.map((agent) => agent.stop()));
  await aggregator.daemon.stop();
}

async function expectMeasured(three) {
  const matrix = await three.aggregator.matrixUntil('all pairs are measured', 60_000, (now) => now.measured.length === ALL.length);
  assert.deepEqual(matrix.measured, ALL);
  assert.deepEqual(matrix.pairs('down'), []);
}

async function expectUnknown(three) {
  const { aggregator, agents } = three;
  await aggregator.matrixUntil('all agents are listed', 30_000, (matrix) => matrix.agents.length === NAMES.length);
  // Long enough for two windows: nothing may ever be called measured, let alone lost.
  await holdsFor(25_000, async () => {
    const matrix = await aggregator.matrix();
    assert.deepEqual(matrix.measured, [], matrix.text());
  });
  for (const agent of agents) {
    const status = agent.run('status', '--data-dir', agent.data);
    assert.match(`${status.output}\n${agent.daemon.log()}`, /ping_group_range/, `${agent.name} does not say what forbids it to ping`);
  }
}

if (IS_ROOT) {
  const machine = needs('namespaces', 'another user');
  test('as nobody, where the kernel allows pings: every path is measured', machine, async () => {
    const three = await startThree('allowed', freshNamespace('allowed', '0 2147483647'));
    await expectMeasured(three);
    await stopThree(three);
  });
  test('as nobody, where the kernel forbids pings: unknown, never loss, and a word on why', machine, async () => {
    const three = await startThree('forbidden', freshNamespace('forbidden', '1 0'));
    await expectUnknown(three);
    await stopThree(three);
  });
} else {
  test('without root on this machine, as it is', async () => {
    const three = await startThree('plain', []);
    await (pingsAreAllowed() ? expectMeasured(three) : expectUnknown(three));
    await stopThree(three);
  });
}
