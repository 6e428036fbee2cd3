/** Accounts, tokens, a log and a setting that live as long as the server does, or until the next sign-in. */

import { createHash } from 'node:crypto';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export class FakePeople {
  constructor() {
    this.users = [
      user('ada', 'operator', { last: 3 * HOUR }),
      user('admin', 'admin', { last: 60_000 }),
      user('bob', 'viewer', { last: 41 * DAY, disabled: true }),
      user('carol@example.org', 'viewer', { invited: 20 * HOUR }),
      user('dave', 'admin', { last: 2 * DAY, invited: 5 * HOUR }),
      user('erin', 'viewer', {}),
      user('operator', 'operator', { last: 9 * DAY }),
      user('viewer', 'viewer', { last: 5 * DAY }),
    ];
    this.tokens = [
      token('backup', 'admin', [], null, 'dave', 5 * HOUR),
      token('ci-join', 'admin', ['join'], 12 * DAY, 'ada', null),
      token('grafana', 'viewer', ['read'], 80 * DAY, 'admin', 60_000),
      token('old-report', 'viewer', ['read'], -3 * DAY, '', 30 * DAY),
    ];
    this.retention = {
      version: 2,
      samples_s: 604_800,
      minutes_s: 7_776_000,
      hours_s: 63_072_000,
      days_s: 315_360_000,
      events_s: 31_536_000,
    };
    this.log = logOf(Date.now());
  }

  did(actor, action, subject, detail = {}) {
    this.log.unshift(
      entry(this.log.length + 1, Date.now(), {
        actor,
        action,
        subject,
        detail,
        address: '127.0.0.1',
      }),
    );
  }

  /** Like the aggregator's: newest first, whole names, an action or all of its kind. */
  page(query) {
    const limit = Number(query.get('limit') ?? 100);
    const before = Number(query.get('before') ?? Infinity);
    const [from, to] = ['from', 'to'].map((name) => Date.parse(query.get(name) ?? ''));
    const [actor, action] = ['actor', 'action'].map((name) => query.get(name));
    const kept = this.log.filter(
      (one) =>
        one.id < before &&
        (!actor || one.actor === actor) &&
        (!action || one.action === action || one.action.startsWith(`${action}.`)) &&
        !(Date.parse(one.at) < from) &&
        !(Date.parse(one.at) >= to),
    );
    const entries = kept.slice(0, limit);
    return { entries, next: entries.length === limit ? entries.at(-1).id : null };
  }

  invite(name, by) {
    const account = this.users.find((one) => one.name === name);
    const expires_at = new Date(Date.now() + DAY).toISOString();
    account.invited_until = expires_at;
    this.did(by, 'user.invite', name);
    const secret = createHash('sha256').update(`${name}${Date.now()}`).digest('base64url');
    return { name, secret, link: `/welcome#${secret}`, expires_at };
  }

  /** One that works and has the role: the last of these stays. */
  isLastAdmin(name) {
    const admins = this.users.filter(
      (one) => one.role === 'admin' && !one.disabled && one.has_password,
    );
    return admins.length === 1 && admins[0].name === name;
  }
}

export function user(name, role, { last, disabled = false, invited }) {
  return {
    name,
    role,
    disabled,
    has_password: last !== undefined,
    invited_until: invited ? new Date(Date.now() + invited).toISOString() : null,
    created_at: new Date(Date.now() - 60 * DAY).toISOString(),
    last_login_at: last ? new Date(Date.now() - last).toISOString() : null,
  };
}

export function token(name, role, scopes, life, created_by, used) {
  return {
    name,
    role,
    scopes,
    created_at: new Date(Date.now() - 30 * DAY).toISOString(),
    created_by,
    expires_at: life === null ? null : new Date(Date.now() + life).toISOString(),
    last_used_at: used === null ? null : new Date(Date.now() - used).toISOString(),
    expired: life !== null && life < 0,
  };
}

/** One of each kind, and then enough for pages. */
function logOf(now) {
  const expires_at = new Date(now + 90 * DAY).toISOString();
  const told = [
    {
      actor: '',
      actor_kind: 'program',
      action: 'user.first',
      subject: 'admin',
      detail: { by: 'link' },
      address: '',
    },
    { actor: 'admin', action: 'invitation.redeem' },
    { actor: 'admin', action: 'user.create', subject: 'ada', detail: { role: 'operator' } },
    { actor: 'ada', action: 'invitation.redeem', address: '192.0.2.44' },
    {
      actor: 'admin',
      action: 'join_token.create',
      subject: 'f83a052a7a30061c',
      detail: { uses: 10, site: 'alpha', expires_at },
    },
    {
      actor: '5e'.repeat(32),
      actor_kind: 'agent',
      action: 'agent.join',
      subject: 'alpha-1',
      detail: { site: 'alpha' },
    },
    ...Array.from({ length: 60 }, (_, at) => ({
      actor: at % 3 === 0 ? 'ada' : 'admin',
      action: at % 2 === 0 ? 'session.create' : 'session.delete',
    })),
    {
      actor: '',
      actor_kind: 'host',
      action: 'user.change',
      subject: 'bob',
      detail: { disabled: true, role: null },
      address: '',
    },
    {
      actor: 'admin',
      action: 'api_token.create',
      subject: 'grafana',
      detail: { role: 'viewer', scopes: ['read'], expires_at },
    },
    {
      actor: 'admin',
      action: 'setting.change',
      subject: 'retention',
      detail: {
        samples_s: 604_800,
        minutes_s: 7_776_000,
        hours_s: 63_072_000,
        days_s: 315_360_000,
        events_s: 31_536_000,
      },
    },
    {
      actor: 'admin',
      action: 'channel.create',
      subject: '1',
      detail: { name: 'On call', enabled: true, repeat_s: 14_400 },
    },
    {
      actor: 'admin',
      action: 'channel.test',
      subject: '4',
      detail: { name: 'Pager', sent: false },
    },
    {
      actor: 'ada',
      action: 'alert_rule.change',
      subject: '2',
      detail: { name: 'Loss above 5 %', enabled: true, severity: 'warning' },
    },
    {
      actor: 'ada',
      action: 'silence.create',
      subject: '7',
      detail: { until: expires_at, reason: 'New switches', maintenance: true },
    },
    { actor: 'ada', action: 'incident.acknowledge', subject: '2d6635bd'.repeat(4) },
    { actor: 'ada', action: 'incident.take_back', subject: '2d6635bd'.repeat(4) },
    {
      actor: '',
      actor_kind: 'host',
      action: 'config.change',
      subject: 'version 20',
      detail: { changes: 3, first: ['probe.interval'], why: 'fewer packets', copy_of: null },
      address: '',
    },
    {
      actor: 'admin',
      action: 'config.rollback',
      subject: 'version 21',
      detail: { changes: 3, why: '', copy_of: 19 },
    },
    { actor: 'admin', action: 'join_token.delete', subject: '8a41bd07e0c3975f' },
    {
      actor: 'admin',
      action: 'report_schedule.send',
      subject: '2',
      detail: { name: 'For the board', sent: true },
    },
    {
      actor: 'admin',
      action: 'user.change',
      subject: 'dave',
      detail: { disabled: null, role: 'admin' },
    },
    {
      actor: 'grafana',
      actor_kind: 'token',
      action: 'access.deny',
      subject: 'POST /api/v1/join-tokens',
      outcome: 'denied',
      address: '192.0.2.61',
    },
    { actor: 'ada', action: 'session.create', outcome: 'wrong', address: '198.51.100.7' },
    {
      actor: '',
      actor_kind: 'nobody',
      action: 'session.create',
      outcome: 'limited',
      address: '198.51.100.7',
      detail: { left_out_before: 12 },
    },
    { actor: 'ada', action: 'password.change', address: '192.0.2.44' },
    { actor: 'admin', action: 'user.invite', subject: 'carol@example.org' },
    { actor: 'admin', action: 'session.create' },
  ];
  const made = told.map((one, at) => entry(at + 1, now - (told.length - at) * 1.7 * HOUR, one));
  return made.reverse();
}

function entry(
  id,
  at,
  {
    actor,
    actor_kind = 'user',
    action,
    subject = '',
    outcome = 'ok',
    detail = {},
    address = '192.0.2.10',
  },
) {
  const hash = createHash('sha256').update(`${id}${action}${subject}`).digest('hex');
  return {
    id,
    at: new Date(at).toISOString(),
    actor,
    actor_kind,
    address,
    action,
    subject,
    outcome,
    detail,
    hash,
  };
}
