// Two aggregators on one PostgreSQL tell people what happens: once, and at most once more when the one that was telling it is killed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Agent } from './harness/agent.mjs';
import { needs } from './harness/components.mjs';
import { holdsPort } from './harness/programs.mjs';
import { Replicas } from './harness/replicas.mjs';
import { DiscordSink } from './harness/sinks.mjs';
import { holdsFor, secondsSince, until } from './harness/wait.mjs';

const pings = needs('pings');
// The rule 'Agent silent' wants a minute; after a start nothing is judged for half of one.
const TOLD_WITHIN_MS = 150_000;
// A message is one replica's for 40 s, and another one looks for such every second or two.
const TOLD_AGAIN_WITHIN_MS = 60_000;

let replicas;
let chat;
const agents = [];

before(async () => {
  if (pings.skip) return;
  chat = await DiscordSink.start();
  // The sink is on loopback, which webhooks do not reach unless that is meant.
  process.env.EVERYPATH_AGGREGATOR_ALERTS__ALLOW_NETWORKS = '127.0.0.0/8';
  replicas = await Replicas.start('replica-alerts', 2);
  const { directory, all } = replicas;
  ['one', 'two', 'three'].forEach((name, at) => agents.push(new Agent({ directory, name, site: 'here', address: `127.0.2.${at + 1}` })));
  const token = all[0].tokenFor(agents.length, all);
  agents.forEach((agent) => agent.joinOk(token));
  await Promise.all(agents.map((agent) => agent.start()));
  await all[0].matrixUntil('all pairs are measured', 60_000, (now) => now.measured.length === 6);
  await post('/api/v1/channels', { name: 'chat', enabled: true, repeat_s: 0, target: { kind: 'discord', url: chat.url } });
});
after(async () => {
  await Promise.all(agents.filter((agent) => agent.daemon?.lives).map((agent) => agent.stop()));
  await replicas?.stop();
  chat?.stop();
});

async function post(path, body) {
  const [replica] = replicas.all;
  const headers = { authorization: `Bearer ${replica.apiToken}`, 'content-type': 'application/json' };
  const response = await fetch(replica.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  assert.ok(response.ok, `POST ${path}: ${response.status} ${await response.text()}`);
}

/** Kills the replica whose request the sink does not answer, and returns the one that lives. */
async function killWhoSends() {
  const { from } = await until('a message is being sent', TOLD_WITHIN_MS, () => chat.requests[0], 20);
  const sender = replicas.all.find(({ daemon }) => holdsPort(daemon.pid, from));
  assert.ok(sender, `one of the replicas sends from port ${from}`);
  await sender.daemon.kill9();
  console.log(`# ${sender.name} was killed while it sent '${chat.titles[0]}'`);
  return sender;
}

/** What is being told is told once more by the other replica, and not a third time, also when both are there again. */
async function toldOnceMore(title) {
  const sender = await killWhoSends();
  const killed = performance.now();
  await until('the other replica sends it', TOLD_AGAIN_WITHIN_MS, () => chat.requests.length === 2);
  console.log(`# told by the other replica ${secondsSince(killed)} s later`);
  await sender.start();
  await holdsFor(15_000, async () => assert.equal(chat.requests.length, 2, JSON.stringify(chat.titles)));
  assert.match(chat.titles[0], title);
  assert.equal(chat.titles[1], chat.titles[0]);
}

test('the replica that sends news is killed: the other one sends them, once', pings, async () => {
  chat.says.push('hang');
  await agents[2].daemon.kill9();
  await toldOnceMore(/^\[warning\] .*three/);
  assert.equal(chat.posted.length, 2);
});

test('the replica that sends an end is killed: the other one changes the message, once', pings, async () => {
  chat.clear();
  chat.says.push('hang');
  await agents[2].start();
  await toldOnceMore(/^\[over\] .*three/);
  assert.equal(chat.posted.length, 0, 'both change the message that is there');
});
