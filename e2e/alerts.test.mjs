// What people are told: four faults of the lab are one incident each, of the right class, and one message each at something that
// answers as Discord does and at a mail server with TLS. Then answers that are not 200, and an aggregator killed while it sends.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { needs } from './harness/components.mjs';
import { HOSTS } from './harness/lab.mjs';
import { startMesh, stopMesh } from './harness/mesh.mjs';
import { runOk } from './harness/programs.mjs';
import { DiscordSink, MailSink } from './harness/sinks.mjs';
import { holdsFor, secondsSince, until } from './harness/wait.mjs';

const machine = needs('namespaces');
// Three probe intervals of 5 s, the ten seconds of the rule, a patch that must be still, and the half minute after a start in which
// nothing is judged.
const TOLD_WITHIN_MS = 70_000;
// A minute in which nothing is found, and a minute that was lossy leaves the matrix.
const OVER_WITHIN_MS = 150_000;

let mesh;
let chat;
let mail;

before(async () => {
  if (machine.skip) return;
  chat = await DiscordSink.start();
  mail = await MailSink.start();
  // The sinks are on loopback, which webhooks do not reach unless that is meant.
  process.env.EVERYPATH_AGGREGATOR_ALERTS__ALLOW_NETWORKS = '127.0.0.0/8';
  mesh = await startMesh('alerts');
  const { aggregator } = mesh;
  await aggregator.matrixUntil('all pairs are measured', 90_000, (now) => now.measured.length === HOSTS.length * (HOSTS.length - 1));
  await aggregator.matrixUntil('all pairs are ok', 90_000, (now) => now.pairs('ok', 'slow').length === now.measured.length);
  await post('/api/v1/channels', { name: 'chat', enabled: true, repeat_s: 0, target: { kind: 'discord', url: chat.url } });
  const settings = { host: 'localhost', port: mail.port, security: 'tls', from: 'e@mesh.test', to: ['ops@mesh.test'], ca: mail.ca };
  await post('/api/v1/channels', { name: 'mail', enabled: true, repeat_s: 0, target: { kind: 'mail', settings } });
});
after(async () => {
  await stopMesh(mesh);
  chat?.stop();
  mail?.stop();
});

async function post(path, body) {
  const headers = { authorization: `Bearer ${mesh.aggregator.apiToken}`, 'content-type': 'application/json' };
  const response = await fetch(mesh.aggregator.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await response.text();
  assert.ok(response.ok, `POST ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

const incidents = async (state) => (await mesh.aggregator.get(`/api/v1/incidents?state=${state}`)).incidents;

/** Runs a command in a host. */
const inHost = (host, ...words) => {
  const [command, ...rest] = [...mesh.lab.inHost(host), ...words];
  return runOk(command, rest);
};

/** Breaks something, and expects one incident of this class, told once in each channel, and its end. */
async function expectOne(wanted, title, breakIt, mendIt) {
  chat.clear();
  mail.clear();
  const known = new Set((await incidents('over')).map(({ id }) => id));
  breakIt();
  const began = performance.now();
  const [incident] = await until('an incident is open', TOLD_WITHIN_MS, async () => {
    const open = await incidents('open');
    return open.length > 0 && open;
  });
  console.log(`# ${incident.title}: opened after ${secondsSince(began)} s`);
  await until('both were told', 15_000, () => chat.posted.length > 0 && mail.mails.length > 0);
  console.log(`# told after ${secondsSince(began)} s`);
  await holdsFor(30_000, async () => assert.equal((await incidents('open')).length, 1));
  const [now] = await incidents('open');
  assert.equal(now.class, wanted, JSON.stringify(now));
  assert.match(now.title, title);
  console.log(`# ${now.title}. ${now.evidence} ${now.notes.join(' ')}`);
  assert.deepEqual([chat.posted.length, mail.mails.length], [1, 1], JSON.stringify([chat.titles, mail.subjects]));
  assert.equal(chat.posted[0], `[critical] ${now.title}`);
  assert.equal(mail.subjects[0], `[critical] ${now.title}`);
  mendIt();
  const mended = performance.now();
  await until('it is over', OVER_WITHIN_MS, async () => (await incidents('open')).length === 0, 500);
  console.log(`# over ${secondsSince(mended)} s after it was mended`);
  await until(
    'both were told the end',
    15_000,
    () => chat.titles.at(-1)?.startsWith('[over]') && mail.subjects.at(-1)?.startsWith('[over]'),
  );
  assert.deepEqual([chat.posted.length, mail.mails.length], [1, 2], JSON.stringify([chat.titles, mail.subjects]));
  const fresh = (await incidents('over')).filter(({ id }) => !known.has(id));
  // While it recovers, one direction may be back before the other, and its title says so.
  assert.deepEqual(
    fresh.map((one) => one.class),
    [wanted],
    JSON.stringify(fresh),
  );
  console.log(`# mail:\n${mail.mails[0].replace(/^/gm, '#   ')}`);
}

const healLab = () => mesh.lab.heal();

test('a host that is down', machine, async () => {
  const off =
    'add table inet off; add chain inet off in { type filter hook input priority 0; policy drop; }; add chain inet off out { type filter hook output priority 0; policy drop; }';
  await expectOne(
    'host_down',
    /^Host beta-2 is down$/,
    () => inHost('beta-2', 'nft', off),
    () => inHost('beta-2', 'nft', 'delete table inet off'),
  );
});

test('a site that is cut off', machine, async () => {
  const cut = () => ['beta', 'gamma'].forEach((site) => mesh.lab.cut('alpha', site));
  await expectOne('site_cut', /^Site alpha is cut off$/, cut, healLab);
});

test('loss in one direction between two hosts', machine, async () => {
  // A ping needs both ways, so who looks at pings alone cannot say which direction it is.
  await expectOne('pair_down', /beta-3.*gamma-1|gamma-1.*beta-3/, () => mesh.lab.oneway('beta-3', 'gamma-1'), healLab);
});

test('an observer that is cut off', machine, async () => {
  // What its own firewall drops on the way out was never sent, and says nothing; so it is the replies that do not come in.
  const mute =
    'add table inet mute; add chain inet mute in { type filter hook input priority 0; }; add rule inet mute in icmp type echo-reply drop; add rule inet mute in icmpv6 type echo-reply drop';
  await expectOne(
    'isolated',
    /^gamma-2 reaches nobody; others reach it$/,
    () => inHost('gamma-2', 'nft', mute),
    () => inHost('gamma-2', 'nft', 'delete table inet mute'),
  );
});

test('answers that are not 200: what must be tried again is, what must not is not', machine, async () => {
  chat.clear();
  chat.says.push(500, { status: 429, body: { retry_after: 2.5 } }, 204);
  mesh.lab.oneway('beta-3', 'gamma-1');
  await until('three tries', TOLD_WITHIN_MS + 30_000, () => chat.posted.length === 3);
  mesh.lab.heal();
  await until('it is over', OVER_WITHIN_MS, async () => (await incidents('open')).length === 0, 500);
  const { channels } = await mesh.aggregator.get('/api/v1/channels');
  const { deliveries } = await mesh.aggregator.get(`/api/v1/channels/${channels[0].id}/deliveries?limit=10`);
  console.log(`# ${deliveries.map(({ event, result, detail }) => `${event} ${result} ${detail}`).join('; ')}`);
  assert.ok(deliveries.some(({ result, detail }) => result === 'waits' && detail.startsWith('HTTP 500')));
  assert.ok(deliveries.some(({ result, detail }) => result === 'waits' && detail.includes('asked to rest 25')));
  // It is one more message, and would else be the one that the next test's answer is meant for.
  await until('its end is told', 30_000, () => chat.titles.at(-1)?.startsWith('[over]'));
});

test('an aggregator that is killed while it sends misses nothing and sends at most twice', machine, async () => {
  assert.deepEqual([await incidents('open'), chat.says], [[], []], 'nothing is left of the test before');
  chat.clear();
  chat.says.push('hang');
  mesh.lab.cut('alpha-1', 'beta-2');
  await until('a message is being sent', TOLD_WITHIN_MS, () => chat.posted.length === 1, 20);
  assert.deepEqual([chat.requests.length, chat.says], [1, []], 'it hangs');
  await mesh.aggregator.daemon.kill9();
  await mesh.aggregator.start();
  await until('it is sent again', 90_000, () => chat.posted.length === 2);
  await holdsFor(15_000, async () => assert.equal(chat.posted.length, 2, JSON.stringify(chat.titles)));
  mesh.lab.heal();
  await until('its end is told', OVER_WITHIN_MS, () => chat.titles.at(-1)?.startsWith('[over]'), 500);
  assert.equal(chat.posted.length, 2, 'once, and once more because nobody knew whether it had arrived');
});
