// Three aggregators on one PostgreSQL are one aggregator: they agree, any of them may die or be asked to end, and so may the
// database; nothing is lost, nothing is there twice, and what must be done once is done once.
//   EVERYPATH_E2E_FULL=1   100 kills of a replica and 50 of the database instead of 5 and 3
//   EVERYPATH_E2E_SEED=N   the same random victims and moments again
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import { Agent } from './harness/agent.mjs';
import { needs } from './harness/components.mjs';
import { Live } from './harness/live.mjs';
import { orderedPairs } from './harness/matrix.mjs';
import { randomFrom } from './harness/random.mjs';
import { Replicas, joinRace } from './harness/replicas.mjs';
import { holdsFor, secondsSince, until } from './harness/wait.mjs';

const FULL = process.env.EVERYPATH_E2E_FULL === '1';
const REPLICA_KILLS = FULL ? 100 : 5;
const DATABASE_KILLS = FULL ? 50 : 3;
// One load after the other until there were enough kills: each kill happens while its load is this young.
const LOAD_S = 24;
const KILLS_WITHIN_MS = 12_000;
const SILENCE_MAX_S = 10;
const LEASE_MOVES_WITHIN_MS = 15_000;
const SUSPENDED_MS = 20_000;
const seed = Number(process.env.EVERYPATH_E2E_SEED ?? Date.now() % 1_000_000);
const random = randomFrom(seed);
const pings = needs('pings');

let replicas;
const loads = [];
// Those that came to their end, with an account of what they sent.
const finished = [];

before(async () => {
  console.log(`# random victims and moments come from EVERYPATH_E2E_SEED=${seed}`);
  const began = performance.now();
  replicas = await Replicas.start('replicas', 3);
  console.log(`# three replicas on an empty database after ${secondsSince(began)} s`);
});
beforeEach(async () => {
  // What a test that failed has left is no reason for the next one to fail.
  for (const { daemon } of loads) if (daemon.lives) await daemon.kill9();
  await replicas.restore();
});
after(async () => {
  for (const { daemon } of loads) if (daemon.lives) await daemon.kill9();
  await replicas?.stop();
});

/** Four agents that send as fast as they are let, most of it measured before the last ten minutes, so that sums are read too. */
async function startLoad(seconds) {
  const load = await replicas.startLoad({ agents: 4, targets: 3, rowsPerBatch: 600, seconds });
  loads.push(load);
  return load;
}

/** Waits for the end of a load and asks the database whether everything it sent is there once. */
async function finishAndAudit(load) {
  const figures = await load.figures();
  finished.push(load);
  const { totals, output } = replicas.all[0].auditLedgers([load.ledger]);
  console.log(`# ${JSON.stringify(figures)}`);
  console.log(`# audit ${JSON.stringify(totals)}`);
  assert.equal(totals.missing, 0, output);
  assert.equal(totals.duplicated, 0, output);
  assert.equal(totals.uncovered, 0, output);
  assert.ok(totals.records >= load.acked() && totals.records > 0, output);
  return { figures, totals };
}

/** What a stranger is shown of the certificate. */
function fingerprint({ address, port }) {
  return new Promise((done, failed) => {
    const socket = connect({ host: address, port, rejectUnauthorized: false }, () => {
      done(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once('error', failed);
  });
}

test('replicas that start at the same moment on an empty database are one mesh with one certificate and one leader', async () => {
  const { all } = replicas;
  const prints = await Promise.all(all.map(fingerprint));
  assert.equal(new Set(prints).size, 1, `certificates: ${prints}`);
  const meshes = await until('every replica says which mesh it serves', 10_000, () => {
    const said = all.map((replica) => /Everypath aggregator, mesh (\S+)/.exec(replica.daemon.log())?.[1]);
    return said.every(Boolean) && said;
  });
  assert.equal(new Set(meshes).size, 1, `meshes: ${meshes}`);
  // One first account: its password is said once.
  const welcomed = all.filter((replica) => /Log in as/.test(replica.daemon.log()));
  assert.equal(welcomed.length, 1, `${welcomed.map((replica) => replica.name)} made a first account`);
  const leader = await replicas.leaderWithin(LEASE_MOVES_WITHIN_MS);
  await holdsFor(1_000, async () => assert.deepEqual(await replicas.leaders(), [leader]), 100);
  assert.deepEqual(leader.terms(), [1]);
});

test('one token of seven uses, a thousand keys, three replicas: seven get in', async () => {
  const token = replicas.all[0].tokenFor(7, replicas.all);
  const began = performance.now();
  const { joined, refused, errors } = joinRace(replicas, token, 1_000);
  console.log(`# ${joined} joined, ${refused} refused, ${errors} errors in ${secondsSince(began)} s`);
  assert.equal(joined, 7);
  assert.equal(refused + errors, 993);
  // A replica lists whom it let in itself at once, the others within half a minute: all of them together are asked.
  const lists = await Promise.all(replicas.all.map((replica) => replica.get('/api/v1/agents')));
  const members = new Set(lists.flatMap(({ agents }) => agents.map(({ id }) => id)));
  assert.equal(members.size, 7);
  // Who got no answer may have got in: only a certificate in somebody's hands counts, and there are as many as members.
  assert.equal(errors, 0);
});

/** What every replica says of these pairs, as text that can be compared. */
async function statesOn(replica, pairs) {
  const matrix = await replica.matrix();
  return pairs.map((pair) => `${pair}: ${matrix.state(...pair.split(' '))}`).join('\n');
}

/** All replicas say the same of these pairs within two seconds. */
async function agree(pairs) {
  await until('all replicas say the same', 2_000, async () => {
    const said = await Promise.all(replicas.all.map((replica) => statesOn(replica, pairs)));
    if (new Set(said).size !== 1) throw new Error(said.join('\n--\n'));
    return true;
  });
}

test('agents that send to different replicas are in the same matrix on all of them, within two seconds', pings, async () => {
  const { all, directory } = replicas;
  const names = ['one', 'two', 'three'];
  const pairs = orderedPairs(names);
  const agents = names.map((name, at) => new Agent({ directory, name, site: `site-${name}`, address: `127.0.1.${at + 1}` }));
  // Each knows one replica only, and so sends nowhere else.
  agents.forEach((agent, at) => agent.joinOk(all[at].tokenFor(1, [all[at]])));
  const before = await Promise.all(all.map((replica) => replica.metric('ingest_rows_total')));
  await Promise.all(agents.map((agent) => agent.start()));
  const complete = await Promise.all(
    all.map(async (replica) => {
      await replica.matrixUntil('all pairs are measured', 60_000, (matrix) => pairs.every((pair) => matrix.measured.includes(pair)));
      return performance.now();
    }),
  );
  const apart = Math.max(...complete) - Math.min(...complete);
  console.log(`# all pairs measured on the first and on the last replica: ${apart.toFixed(0)} ms apart`);
  await agree(pairs);
  const stored = await Promise.all(all.map(async (replica, at) => (await replica.metric('ingest_rows_total')) - before[at]));
  assert.ok(
    stored.every((rows) => rows > 0),
    `rows stored by each: ${stored}`,
  );
  const lives = await Promise.all(all.slice(0, 2).map((replica) => Live.open(replica.url, replica.apiToken)));
  // The row of agent one is uploaded to replica 1; replica 2 learns of it by the journal.
  const matrix = await all[0].get('/api/v1/matrix');
  const row = matrix.agents.find((agent) => agent.name === 'one').index;
  const ofRow = (live) => live.changes().filter(({ cell }) => Math.floor(cell / matrix.agents.length) === row);
  const delays = await until('three changes came over both replicas', 60_000, () => {
    const theirs = ofRow(lives[1]);
    const seen = ofRow(lives[0]).map((change) => {
      const same = theirs.find(({ cell, value, came }) => cell === change.cell && value === change.value && came > change.came - 1_000);
      return same && same.came - change.came;
    });
    const known = seen.filter((delay) => delay !== undefined);
    return known.length >= 3 && known;
  });
  const worst = Math.max(...delays);
  console.log(`# from replica 1 to a page on replica 2: ${delays.map((delay) => delay.toFixed(0)).join(', ')} ms`);
  assert.ok(worst < 2_000, `${worst} ms`);
  for (const live of lives) live.close();
  await Promise.all(agents.map((agent) => agent.stop()));
  assert.ok(apart < 2_000, `the matrix was whole on the last replica ${apart} ms after the first`);
});

/**
 * Does something `count` times under load, each time when some random number of rows more is stored. Nobody may be without an
 * answer for longer than the longest time that the deeds say nobody could answer, and a little.
 */
async function againAndAgain(count, deed) {
  for (let done = 0; done < count;) {
    let nobodyCould = 0;
    const load = await startLoad(LOAD_S);
    await replicas.moreRows(1, load);
    const began = performance.now();
    for (; done < count && performance.now() - began < KILLS_WITHIN_MS; done += 1) {
      await replicas.moreRows(1 + random() * 6_000, load);
      nobodyCould = Math.max(nobodyCould, await deed(load));
    }
    const { figures } = await finishAndAudit(load);
    assert.ok(figures.longest_silence_s <= nobodyCould + SILENCE_MAX_S, `${figures.longest_silence_s} s without an answer`);
    assert.equal(figures.server_errors, 0);
    assert.equal(figures.refused, 0);
  }
}

test('replicas are killed again and again under load: nothing is lost, nothing is there twice, no agent is silent for long', async () => {
  await againAndAgain(REPLICA_KILLS, async () => {
    const victim = replicas.all[Math.floor(random() * replicas.all.length)];
    await victim.daemon.kill9();
    const killed = performance.now();
    await victim.start();
    console.log(`# ${victim.name} is there again ${secondsSince(killed)} s after it was killed`);
    return 0;
  });
});

test('the database is killed again and again under load: the replicas go on by themselves, and nothing is lost or twice', async () => {
  const pids = replicas.all.map((replica) => replica.daemon.pid);
  await againAndAgain(DATABASE_KILLS, async (load) => {
    replicas.database.kill9();
    const killed = performance.now();
    replicas.database.restart();
    const back = secondsSince(killed);
    await replicas.moreRows(1, load);
    console.log(`# the database is there again ${back} s after it was killed, rows after ${secondsSince(killed)} s`);
    return Number(back);
  });
  const same = replicas.all.map((replica) => replica.daemon.lives && replica.daemon.pid);
  assert.deepEqual(same, pids, 'no replica had to be started again');
});

/** What /readyz answers: a status, or 0 when nobody does. */
async function ready(replica) {
  try {
    return (await replica.fetch('/readyz')).status;
  } catch {
    return 0;
  }
}

test('the leader is asked to end under load: it says so, ends in order, and another leads', async () => {
  const load = await startLoad(18);
  await replicas.moreRows(1_000, load);
  const leader = await replicas.leaderWithin(LEASE_MOVES_WITHIN_MS);
  const [term] = leader.terms().slice(-1);
  assert.equal(await ready(leader), 200);
  const page = await Live.open(leader.url, leader.apiToken);
  const asked = performance.now();
  const ended = leader.daemon.stop(10_000);
  const answers = [];
  while (leader.daemon.lives) {
    answers.push({ after: performance.now() - asked, status: await ready(leader) });
    await pause(5);
  }
  const { code } = await ended;
  console.log(`# ended ${secondsSince(asked)} s after SIGTERM`);
  assert.equal(code, 0, leader.daemon.logEnd());
  await until('the open page is told to connect again', 1_000, () => page.closeCode === 1012, 20);
  page.close();
  const welcome = answers.filter(({ status }) => status === 200).at(-1)?.after ?? 0;
  assert.ok(welcome < 500, `/readyz still said 200 after ${welcome} ms`);
  assert.ok(
    answers.every(({ status }) => [200, 503, 0].includes(status)),
    JSON.stringify(answers),
  );
  const next = await replicas.leaderWithin(LEASE_MOVES_WITHIN_MS - (performance.now() - asked), (now) => now !== leader);
  console.log(`# ${next.name} leads ${secondsSince(asked)} s after ${leader.name} was asked to end`);
  assert.ok(next.terms().at(-1) > term, `term ${next.terms().at(-1)} after ${term}`);
  await leader.start();
  const { figures } = await finishAndAudit(load);
  assert.equal(figures.server_errors, 0);
  assert.equal(figures.refused, 0);
  assert.ok(figures.longest_silence_s <= SILENCE_MAX_S, `${figures.longest_silence_s} s without an answer`);
});

/** Probes sent, by the series of all pairs of a load in steps of `step`, over the same range for every question. */
async function probes(replica, load, { from, to, step }) {
  const all = await Promise.all(load.pairs().map(({ source, target }) => replica.series(source, target, { from, to, step })));
  return all.reduce((sum, { points }) => sum + points.reduce((part, { sent }) => part + sent, 0), 0);
}

/** At least two hours back and an hour ahead, in whole hours: more than any load reaches. */
function wideRange() {
  const hour = Math.floor(Date.now() / 3_600_000);
  const at = (hours) => new Date((hour + hours) * 3_600_000).toISOString();
  return { from: at(-2), to: at(2) };
}

test('the leader is suspended under load and goes on later: another leads meanwhile, and no sum counts anything twice', async () => {
  const load = await startLoad(4 + SUSPENDED_MS / 1_000);
  await replicas.moreRows(10_000, load);
  const leader = await replicas.leaderWithin(LEASE_MOVES_WITHIN_MS);
  const term = leader.terms().at(-1);
  leader.daemon.child.kill('SIGSTOP');
  const stopped = performance.now();
  const others = replicas.all.filter((replica) => replica !== leader);
  const next = await until(
    'another replica leads',
    2 * SUSPENDED_MS,
    async () => {
      for (const other of others) if (await other.leads()) return other;
    },
    100,
  );
  const tookOver = performance.now() - stopped;
  console.log(`# ${next.name} leads ${(tookOver / 1000).toFixed(1)} s after ${leader.name} was suspended`);
  assert.ok(next.terms().at(-1) > term, `term ${next.terms().at(-1)} after ${term}`);
  // How long it is suspended is the test's input.
  await pause(Math.max(0, SUSPENDED_MS - (performance.now() - stopped)));
  leader.daemon.child.kill('SIGCONT');
  await until('the one that was suspended knows that it does not lead', 6_000, async () => !(await leader.leads()), 50);
  assert.equal((await replicas.leaderWithin(5_000)).name, next.name);
  const { totals } = await finishAndAudit(load);
  const range = wideRange();
  const windows = await probes(next, load, { ...range, step: '10s' });
  // Every window of the load has two probes, and the audit counted the windows.
  assert.equal(windows, 2 * totals.records);
  const began = performance.now();
  const summed = () => probes(next, load, { ...range, step: '60s' });
  await until('the sums have everything', 60_000, async () => (await summed()) >= windows);
  console.log(`# the sums have everything ${secondsSince(began)} s after the load`);
  await holdsFor(3_000, async () => assert.equal(await summed(), windows));
  assert.ok(tookOver < LEASE_MOVES_WITHIN_MS, `nobody led for ${tookOver} ms`);
});

test('sums, series and the matrix are the same on every replica', async () => {
  const range = wideRange();
  const load = finished.at(-1);
  for (const step of ['10s', '60s', '1h']) {
    for (const { source, target } of load.pairs().slice(0, 4)) {
      const said = await Promise.all(replicas.all.map((replica) => replica.series(source, target, { ...range, step })));
      assert.ok(said[0].points.length > 0);
      assert.deepEqual(said[1], said[0]);
      assert.deepEqual(said[2], said[0]);
    }
  }
  // Whatever was killed on the way: every load is in the sums once.
  for (const each of finished) {
    const windows = await probes(replicas.all[0], each, { ...range, step: '10s' });
    await until(
      'the sums have everything',
      40_000,
      async () => (await probes(replicas.all[0], each, { ...range, step: '60s' })) === windows,
    );
  }
  await agree(finished.flatMap((each) => each.pairs().map(({ source, target }) => `${source} ${target}`)));
  const { totals, output } = replicas.all[2].auditLedgers(finished.map(({ ledger }) => ledger));
  assert.deepEqual([totals.missing, totals.duplicated, totals.uncovered], [0, 0, 0], output);
});
