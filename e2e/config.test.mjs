// The configuration of the mesh: changed in one place, in force on nine agents within ten seconds, kept by them while nobody
// answers, and taken back.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { needs } from './harness/components.mjs';
import { HOSTS } from './harness/lab.mjs';
import { startMesh, stopMesh } from './harness/mesh.mjs';
import { run } from './harness/programs.mjs';
import { secondsSince, until } from './harness/wait.mjs';

const machine = needs('namespaces');
// GOALS: a configuration that was changed reaches nine lab agents within ten seconds.
const REACHED_WITHIN_MS = 10_000;

let mesh;

before(async () => {
  if (!machine.skip) mesh = await startMesh('config');
});
after(() => stopMesh(mesh));

/** Asks the API for a change; the answer with its status. */
async function ask(method, path, ifMatch, body) {
  const { aggregator } = mesh;
  const response = await fetch(aggregator.url + path, {
    method,
    headers: { authorization: `Bearer ${aggregator.apiToken}`, 'content-type': 'application/json', 'if-match': `"${ifMatch}"` },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(5_000),
  });
  return { status: response.status, ...(await response.json()) };
}

/** Waits until all agents say that they run `version`. */
async function reached(version, began) {
  const state = await until(`all agents run version ${version}`, REACHED_WITHIN_MS - (performance.now() - began), async () => {
    const now = await mesh.aggregator.get('/api/v1/config/agents');
    if (now.version === version && now.current === HOSTS.length) return now;
    throw new Error(`${now.current} run version ${now.version}`);
  });
  console.log(`# version ${version} runs on ${state.current} agents after ${secondsSince(began)} s`);
}

/** What `mesh-agent status` says of the configuration. */
function statusOf(agent) {
  const result = agent.run('status', '--data-dir', agent.data);
  assert.equal(result.code, 0, result.output);
  return result.stdout.split('\n').find((line) => line.startsWith('configuration'));
}

test('a change reaches nine agents within ten seconds, and they do what it says', machine, async () => {
  const { aggregator, agents, lab } = mesh;
  await until('all agents are known', 60_000, async () => (await aggregator.get('/api/v1/agents')).agents.length === HOSTS.length);
  assert.match(statusOf(agents[0]), /none of the mesh; a probe every 5 s/);
  const config = {
    probe: { interval: '2s' },
    endpoints: [{ name: 'uplink', address: lab.aggregatorAddress }],
    agents: [{ agent: 'alpha-1', tags: ['first'] }],
  };
  const began = performance.now();
  const answer = await ask('PUT', '/api/v1/config', 0, { config, why: 'a test' });
  assert.equal(answer.status, 200, JSON.stringify(answer));
  assert.equal(answer.version, 1);
  await reached(1, began);
  for (const agent of agents) assert.match(statusOf(agent), /version 1 of .*; a probe every 2 s/);
  const before = Number(/^probes +(\d+)/m.exec(agents[0].run('status', '--data-dir', agents[0].data).stdout)[1]);
  await until('probes go out at the new pace', 20_000, () => {
    const now = Number(/^probes +(\d+)/m.exec(agents[0].run('status', '--data-dir', agents[0].data).stdout)[1]);
    // Eight others every 2 s: 40 in 10 s; at the old pace 16.
    return now - before >= 40;
  });
});

test('an endpoint is measured by five agents, and is in the matrix by its name', machine, async () => {
  const { aggregator, agents } = mesh;
  const matrix = await aggregator.matrixUntil('five agents measure the endpoint', 40_000, (now) => {
    const measured = now.pairs('ok').filter((pair) => pair.endsWith(' uplink'));
    return measured.length === 5;
  });
  assert.equal(matrix.pairs('ok', 'slow', 'lossy', 'down').filter((pair) => pair.endsWith(' uplink')).length, 5);
  const listed = (await aggregator.get('/api/v1/agents')).agents.find(({ name }) => name === 'uplink');
  assert.equal(listed.kind, 'endpoint');
  const drawn = agents[0].run('matrix', '--data-dir', agents[0].data);
  assert.match(drawn.stdout, /uplink/);
});

test('without a server an agent that starts again does what it did', machine, async () => {
  const { aggregator, agents } = mesh;
  await aggregator.daemon.stop();
  const [agent] = agents;
  await agent.stop();
  await agent.start();
  await until('the last configuration is in force', 10_000, () => /version 1 of .*; a probe every 2 s/.test(statusOf(agent)));
  await aggregator.start();
});

test('what is wrong is refused with everything that is wrong, and agents go on', machine, async () => {
  const config = { probe: { interval: '1ms', timeout: '1h' }, endpoints: [{ name: 'all', address: '255.255.255.255' }] };
  const answer = await ask('PUT', '/api/v1/config', 1, { config });
  assert.equal(answer.status, 400);
  assert.deepEqual(
    answer.faults.map(({ path }) => path),
    ['probe.interval', 'probe.timeout', 'endpoints[0].address'],
  );
  assert.match(statusOf(mesh.agents[3]), /version 1 /);
});

test('a file is compared and applied by the command line, and the agents follow', machine, async () => {
  const { aggregator, directory } = mesh;
  const command = (...args) => {
    const [program, words] = aggregator.command('config', ...args, '--data-dir', aggregator.data);
    return run(program, words);
  };
  const exported = command('export');
  assert.equal(exported.code, 0, exported.output);
  const file = join(directory, 'mesh.yaml');
  writeFileSync(file, exported.stdout);
  assert.equal(command('diff', file).code, 0, 'nothing is different');
  writeFileSync(file, exported.stdout.replace('interval: 2s', 'interval: 3s'));
  const different = command('diff', file);
  assert.deepEqual([different.code, different.stdout], [1, '~ probe.interval: 2s -> 3s\n']);
  const began = performance.now();
  const applied = command('apply', file, '--why', 'from a file');
  assert.equal(applied.code, 0, applied.output);
  assert.match(applied.stdout, /Version 2 is in force/);
  await reached(2, began);
});

test('going back is a new version that reaches the agents as fast', machine, async () => {
  await until('the agents are known again', 20_000, async () => (await mesh.aggregator.get('/api/v1/config')).version === 2);
  const began = performance.now();
  const answer = await ask('POST', '/api/v1/config/versions/1/rollback', 2, { why: 'it was better' });
  assert.equal(answer.status, 200, JSON.stringify(answer));
  assert.equal(answer.version, 3);
  await reached(3, began);
  for (const agent of mesh.agents) assert.match(statusOf(agent), /version 3 of .*; a probe every 2 s/);
});
