// Counted once means stored exactly once: aggregator and agents are killed with SIGKILL, one after the other and together, and
// afterwards the agents' own ledgers are compared with the database. Fresh data never waits behind what was kept meanwhile.
//   EVERYPATH_E2E_FULL=1   the aggregator is away for 60 s instead of 20 s
//   EVERYPATH_E2E_SEED=N   the same kills again
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { needs } from './harness/components.mjs';
import { HOSTS } from './harness/lab.mjs';
import { orderedPairs } from './harness/matrix.mjs';
import { startMesh, stopMesh } from './harness/mesh.mjs';
import { randomFrom } from './harness/random.mjs';
import { secondsSince, until } from './harness/wait.mjs';

const machine = needs('namespaces');
const ALL = orderedPairs(HOSTS);
const OUTAGE_MS = process.env.EVERYPATH_E2E_FULL === '1' ? 60_000 : 20_000;
const KILLS = 10;
const FRESH_WITHIN_MS = 10_000;
// A window is 10 s long: the youngest result that a healthy agent has closed is at most that old.
const WINDOW_MS = 10_000;
const seed = Number(process.env.EVERYPATH_E2E_SEED ?? Date.now() % 1_000_000);
const random = randomFrom(seed);

let mesh;

before(async () => {
  console.log(`# the random kills come from EVERYPATH_E2E_SEED=${seed}`);
  if (machine.skip) return;
  mesh = await startMesh('keeping');
  await mesh.aggregator.matrixUntil('all pairs are measured', 60_000, (matrix) => matrix.measured.length === ALL.length);
});
after(() => stopMesh(mesh));

/** Starts the aggregator and expects results that are younger than its death, of all these sources, in ten seconds. */
async function restartAndExpectFresh(sources) {
  const restarted = performance.now();
  const youngerThan = Date.now() - WINDOW_MS;
  await mesh.aggregator.start();
  const wanted = orderedPairs(sources, HOSTS);
  await mesh.aggregator.matrixUntil('fresh results of every agent', FRESH_WITHIN_MS - (performance.now() - restarted), (matrix) => {
    const fresh = new Set(matrix.measuredSince(youngerThan));
    return wanted.every((pair) => fresh.has(pair));
  });
  console.log(`# ${wanted.length} pairs fresh ${secondsSince(restarted)} s after the restart`);
}

/** Kills one agent and starts it again. */
async function killAgent() {
  const agent = mesh.agents[Math.floor(random() * mesh.agents.length)];
  await agent.daemon.kill9();
  await agent.start();
}

/** Ten kills, spread at random over a time. Not synchronisation: the moments are the test's input. */
async function killAgents(overMs) {
  const moments = Array.from({ length: KILLS }, () => random() * overMs).sort((a, b) => a - b);
  const began = performance.now();
  for (const moment of moments) {
    await pause(Math.max(0, moment - (performance.now() - began)));
    await killAgent();
  }
}

async function everythingIsFresh() {
  const since = Date.now();
  await mesh.aggregator.matrixUntil('every pair has a new result', 60_000, (matrix) => matrix.measuredSince(since).length === ALL.length);
}

test('the aggregator is killed and comes back', machine, async () => {
  await mesh.aggregator.daemon.kill9();
  await pause(OUTAGE_MS);
  await restartAndExpectFresh(HOSTS);
});

test('agents are killed ten times at random', machine, async () => {
  await killAgents(OUTAGE_MS);
  await everythingIsFresh();
});

test('both at once', machine, async () => {
  await mesh.aggregator.daemon.kill9();
  const away = pause(OUTAGE_MS);
  // An agent needs a whole window after its start before it has a result: the last ones may still lack it.
  await killAgents(OUTAGE_MS - 5000);
  const young = mesh.agents.filter((agent) => agent.daemon.startedAt > performance.now() - 2 * WINDOW_MS).map((agent) => agent.name);
  await away;
  await restartAndExpectFresh(HOSTS.filter((host) => !young.includes(host)));
  await everythingIsFresh();
});

test('the audit finds every record once', machine, async () => {
  const { agents, aggregator } = mesh;
  await Promise.all(agents.map((agent) => agent.stop()));
  // What is still on its way when an agent ends is pending, not missing; a clean stop sends it.
  const { code, totals, output } = await until('the audit answers', 30_000, () => aggregator.audit(agents));
  console.log(`# ${JSON.stringify(totals)}`);
  assert.equal(totals.missing, 0, output);
  assert.equal(totals.duplicated, 0, output);
  assert.equal(code, 0, output);
  const starts = agents.reduce((sum, agent) => sum + agent.starts, 0);
  assert.equal(starts, agents.length + 2 * KILLS);
  // Each start of an agent begins a stream of its own; one that was killed before its first result leaves none.
  assert.ok(totals.streams >= agents.length, output);
  assert.ok(totals.records > ALL.length, output);
});
