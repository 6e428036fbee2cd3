/** Incidents, rules, silences and channels that live until the next sign-in, with the refusals of the aggregator. */

import { createHash } from 'node:crypto';
import { at, EVERYBODY, ok, refuse, refuseAll, ROUTES } from './fake-alert-routes.mjs';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ROLES = ['viewer', 'operator', 'admin'];

export class FakeAlerts {
  constructor(mesh, { isHealthy = false } = {}) {
    this.next = { rule: 1, silence: 1, channel: 1, delivery: 1 };
    this.rules = [];
    this.silences = [];
    this.channels = [];
    this.deliveries = [];
    this.incidents = [];
    for (const rule of RULES) this.#keep('rule', this.rules, { rule }, '');
    this.#channels();
    if (mesh.n >= 7) this.#incidents(mesh, isHealthy);
  }

  #keep(kind, all, body, by) {
    const id = this.next[kind];
    this.next[kind] += 1;
    const kept = { id, version: 1, changed_at: at(0), changed_by: by, ...body };
    all.push(kept);
    return kept;
  }

  #channels() {
    const channel = (name, target, more) =>
      this.#keep(
        'channel',
        this.channels,
        {
          ...{ name, enabled: true, repeat_s: 0, target },
          ...{ resting_until: null, failures: 0, trouble: null, ...more },
        },
        'admin',
      );
    channel('On call', { kind: 'discord', origin: 'https://discord.com' }, { repeat_s: 14_400 });
    const settings = {
      host: 'mail.example.org',
      port: 465,
      security: 'tls',
      user: 'everypath',
      from: 'Everypath <everypath@example.org>',
      to: ['ops@example.org', 'night@example.org'],
      ca: null,
    };
    channel('Mail to operations', { kind: 'mail', settings, has_password: true });
    channel(
      'Ticket system',
      { kind: 'webhook', origin: 'https://tickets.example.org' },
      {
        failures: 4,
        resting_until: at(-3 * MINUTE),
        trouble: 'HTTP 503: the upstream does not answer',
      },
    );
    channel('Old channel', { kind: 'discord', origin: 'https://discord.com' }, { enabled: false });
  }

  #incidents(mesh, isHealthy) {
    const { agents, n } = mesh;
    const [one, two, three, five, six] = [0, 1, 2, 4, 6].map((index) => agents[index]);
    const last = agents[n - 1];
    const quiet = agents[Math.floor(n / 2) - 1];
    const others = `${n - 1} of ${n - 1} measured paths are down. ${n - 2} agents say so: ${one.name}, ${two.name}, ${three.name} and ${n - 5} more. Nothing is heard of its agent.`;
    const open = [
      incident(
        'host_down',
        'critical',
        `Host ${last.name} is down`,
        others,
        { agents: [last] },
        { since: 14 * MINUTE, rules: [1, 2, 3] },
      ),
      incident(
        'silent',
        'warning',
        `Nothing is heard of the agent on ${quiet.name}`,
        'Nothing was heard of it for 26 min. Others reach its host.',
        { agents: [quiet] },
        { since: 25 * MINUTE, rules: [3], ack: ['ada', 'looking, it is the upgrade'] },
      ),
      incident(
        'pair_degraded',
        'warning',
        `${two.name} and ${five.name} lose packets`,
        `2 of 2 measured paths are lossy or slow. ${two.name} and ${five.name} say so.`,
        { agents: [two, five] },
        {
          since: 7 * MINUTE,
          first: 3 * HOUR + 7 * MINUTE,
          earlier: 31 * MINUTE,
          rules: [2],
          flaps: 4,
          notes: ['A ping needs both ways: which direction loses is not known.'],
        },
      ),
      incident(
        'pair_degraded',
        'info',
        `${three.name} to ${six.name} loses packets`,
        '1 of 2 measured paths is lossy. Only 1 agent says so.',
        { agents: [three, six] },
        { since: 50 * MINUTE, rules: [4], silences: [1] },
      ),
    ];
    const past = Array.from({ length: 130 }, (_, index) => {
      const agent = agents[(index * 3 + 1) % n];
      const began = (index + 1) * 5 * HOUR + (index % 7) * 11 * MINUTE;
      const [kind, severity, title] = PAST[index % PAST.length];
      return incident(
        kind,
        severity,
        title(agent),
        '8 of 8 measured paths were down. 8 agents said so.',
        kind.startsWith('site') ? { sites: [agent.site] } : { agents: [agent] },
        {
          since: began,
          ended: began - (4 + (index % 50)) * MINUTE,
          rules: [1],
          ...(index % 5 === 2 ? { flaps: 2, first: began + 50 * MINUTE, earlier: 9 * MINUTE } : {}),
          ack: index % 4 === 0 ? ['ada', 'power of the rack'] : null,
        },
      );
    });
    this.incidents = isHealthy ? past : [...open, ...past];
    if (isHealthy) return;
    const scope = {
      source: { ...EVERYBODY, agents: [three.id] },
      target: { ...EVERYBODY, agents: [six.id] },
      both_ways: true,
    };
    const silence = (more) => this.#keep('silence', this.silences, { silence: more }, 'ada');
    silence({
      scope,
      from: at(HOUR),
      until: at(-3 * HOUR),
      reason: 'The provider changes the line',
      maintenance: true,
    });
    silence({
      scope: { source: { ...EVERYBODY, sites: [one.site] }, target: EVERYBODY, both_ways: true },
      from: at(-2 * DAY),
      until: at(-2 * DAY - 4 * HOUR),
      reason: 'New switches at the site',
      maintenance: true,
    });
    silence({
      scope: { source: { ...EVERYBODY, agents: [two.id] }, target: EVERYBODY, both_ways: true },
      from: at(3 * DAY),
      until: at(3 * DAY - 2 * HOUR),
      reason: 'Kernel upgrade',
      maintenance: false,
    });
    for (const { id, since } of open.slice(0, 3).toReversed()) {
      const began = Date.now() - Date.parse(since);
      this.#log(1, id, 'opened', 'sent', began - 12_000, 184);
      this.#log(2, id, 'opened', 'sent', began - 13_000, 640);
      this.#log(3, id, 'opened', 'waits', began - 14_000, 15_000, 'HTTP 503: no answer in time');
      this.#log(1, id, 'updated', 'sent', began - 60_000, 171);
    }
    this.#log(2, null, 'report', 'sent', 9 * HOUR, 1_204);
    this.#log(2, null, 'sent_now', 'sent', 2 * HOUR, 1_166);
    this.#log(4, null, 'test', 'given_up', 9 * DAY, 210, 'HTTP 404: Unknown Webhook');
    for (let index = 0; index < 120; index += 1) {
      const one = past[index];
      this.#log(1, one.id, 'resolved', 'sent', Date.now() - Date.parse(one.ended_at), 160 + index);
    }
    this.deliveries.sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
    this.deliveries.forEach((line, index) => (line.id = this.deliveries.length - index));
    this.next.delivery = this.deliveries.length + 1;
  }

  #log(channel, id, event, result, ago, took_ms, detail = '') {
    const line = { channel, id: 0, at: at(ago), incident: id, event, result, detail, took_ms };
    this.deliveries.push(line);
    return line;
  }

  /** Answers `{ status, body }`, or `null` for what is not a route of these. */
  answer({ key, path, query, body, who, mesh, schedules }) {
    const [kind, id, more] = path.replace('/api/v1/', '').split('/').map(decodeURIComponent);
    const method = key.split(' ')[0];
    const route = ROUTES[[method, kind, id && ':id', more].filter(Boolean).join(' ')];
    if (!route) return null;
    const [role, answer] = route;
    if (ROLES.indexOf(who.role) < ROLES.indexOf(role))
      return refuse(403, 'not_allowed', `This needs the role ${role}.`);
    return answer(this, { id, query, body, who, mesh, schedules });
  }

  put(kind, all, faults, id, version, body, by) {
    if (faults.length > 0) return refuseAll(`invalid_${kind}`, faults);
    if (id === undefined) return { status: 201, body: this.#keep(kind, all, body, by) };
    const found = all.find((one) => `${one.id}` === id);
    if (!found) return refuse(404, `unknown_${kind}`, `There is no ${kind} of this number.`);
    if (found.version !== version) return refuse(409, 'changed_meanwhile', CHANGED);
    Object.assign(found, body, { version: version + 1, changed_by: by, changed_at: at(0) });
    return ok(found);
  }

  test(channel) {
    const isSent = channel.name !== 'Ticket system' && channel.name !== 'Old channel';
    const detail = isSent ? '' : (TESTS[channel.target.kind] ?? '');
    const line = this.#log(channel.id, null, 'test', isSent ? 'sent' : 'given_up', 0, 210, detail);
    line.id = this.next.delivery;
    this.next.delivery += 1;
    this.deliveries.unshift(this.deliveries.pop());
    return ok({ sent: isSent, detail, took_ms: 210 });
  }
}

const CHANGED =
  'Somebody changed it meanwhile. Read it again, and send your change with the version that you read.';
const TESTS = {
  discord: 'HTTP 401: {"message": "Invalid Webhook Token", "code": 50027}',
  webhook: 'HTTP 503: the upstream does not answer',
  mail: 'mail.example.org:587 refused the connection',
};

const RULES = [
  rule('Unreachable', { kind: 'unreachable' }, 'critical', 0, 0),
  rule('Loss above 5 %', { kind: 'loss', above_permille: 50, below_permille: 20 }, 'warning', 300),
  rule('Agent silent', { kind: 'silent', after_s: 60 }, 'warning', 0, 0),
  {
    ...rule('Alpha to gamma is slow', { kind: 'rtt', above_us: 60_000, below_us: 50_000 }, 'info'),
    scope: {
      source: { ...EVERYBODY, sites: ['alpha'] },
      target: { ...EVERYBODY, sites: ['gamma'] },
      both_ways: true,
    },
    channels: [2],
  },
  { ...rule('Every single loss', { kind: 'loss', above_permille: 0, below_permille: 0 }, 'info') },
];
RULES[4].enabled = false;
RULES[4].channels = [];

function rule(name, condition, severity, for_s = 300, clear_for_s = 60) {
  const scope = { source: EVERYBODY, target: EVERYBODY, both_ways: false };
  return { name, enabled: true, condition, scope, for_s, clear_for_s, severity, channels: null };
}

const PAST = [
  ['host_down', 'critical', ({ name }) => `Host ${name} is down`],
  ['site_cut', 'critical', ({ site }) => `Site ${site} is cut off`],
  ['isolated', 'warning', ({ name }) => `${name} reaches nobody; others reach it`],
  ['silent', 'warning', ({ name }) => `Nothing is heard of the agent on ${name}`],
];

function incident(kind, severity, title, evidence, about, more) {
  const { agents = [], sites = [] } = about;
  const { since, ended, rules, flaps = 0, notes = [], silences = [], ack = null } = more;
  const { first = since, earlier = 0 } = more;
  const subjects = [agents.length, sites.length].join();
  const subject = { '1,0': 'agent', '2,0': 'pair', '0,1': 'site', '0,2': 'site_pair' }[subjects];
  const history = [{ at: at(first - 8_000), text: `${title}.` }];
  if (flaps > 0) history.push({ at: at(since - 8_000), text: 'It came back.' });
  if (ack) history.push({ at: at(since - 4 * MINUTE), text: `${ack[0]} takes care of it.` });
  if (ended !== undefined) history.push({ at: at(ended - MINUTE), text: 'It is over.' });
  return {
    id: createHash('sha256').update(`${title}${since}`).digest('hex').slice(0, 32),
    state: ended === undefined ? 'open' : 'over',
    severity,
    class: kind,
    title,
    evidence,
    notes,
    subject: subject ?? 'mesh',
    agents: agents.map(({ id }) => id),
    sites,
    since: at(since),
    opened_at: at(since - 8_000),
    first_opened_at: at(first - 8_000),
    duration_s: (earlier + since - (ended ?? 0)) / 1_000,
    last_seen_at: at(ended ?? 42_000),
    ended_at: ended === undefined ? null : at(ended),
    ending: ended === undefined ? null : 'recovered',
    merged_into: null,
    flaps,
    is_flapping: flaps > 3,
    is_ambiguous: notes.length > 0,
    is_silenced: silences.length > 0,
    rules,
    silences,
    aliases: [],
    acknowledgement: ack ? { by: ack[0], at: at(since - 4 * MINUTE), note: ack[1] } : null,
    history,
  };
}
