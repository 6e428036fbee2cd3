/** What the aggregator says of itself, the join tokens, and reports by mail: as long as the server lives, or until the next sign-in. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const ago = (ms) => new Date(Date.now() - ms).toISOString();

export class FakeSystem {
  constructor() {
    this.began = Date.now() - 3.2 * DAY;
    this.tokens = [
      joinToken('3f2a9c0011223344', 'alpha', 9, 7, 2 * HOUR, 'admin', 22 * HOUR),
      joinToken('9b01c4d2aa771e05', null, 3, 0, 3 * DAY, 'dave', 4 * DAY),
      joinToken('00aa11bb22cc33dd', 'beta', 100, 64, 9 * DAY, '', -2 * DAY),
    ];
    this.schedules = [
      schedule(1, 'Weekly', 'week', 6, null, { state: 'sent', detail: '' }),
      schedule(2, 'North, each morning', 'day', 5, 'alpha', {
        state: 'given_up',
        detail: 'The mail server refused: 550 no such user.',
      }),
    ];
  }

  addToken({ site, uses, expires_at }, by) {
    const id = Math.floor(Math.random() * 2 ** 48)
      .toString(16)
      .padStart(16, '0');
    this.tokens.unshift({
      ...joinToken(id, site, uses, uses, 0, by, 0),
      expires_at,
      state: 'open',
    });
    return id;
  }

  status(mesh, people) {
    const members = mesh.agents.filter(({ kind }) => kind === 'agent').length;
    const replica = (id, host, started, isSelf, isLeader) => ({
      id,
      host,
      version: '0.1.0',
      started_at: ago(started),
      last_seen_at: ago(1_500),
      is_self: isSelf,
      is_leader: isLeader,
    });
    return {
      version: '0.1.0',
      started_at: new Date(this.began).toISOString(),
      uptime_s: Math.round((Date.now() - this.began) / 1_000),
      draining: false,
      database: {
        reachable: true,
        problem: null,
        rung: 'timescaledb-community',
        version: '15.18',
        schema: 7,
        bytes: 3_221_225_472,
        shared: true,
      },
      replicas: [
        replica('00f3a1b2c3d4e5f6', 'aggregator-0', 9 * DAY, false, true),
        replica('a1b2c3d4e5f60718', 'aggregator-1', 3.2 * DAY, true, false),
      ],
      unled_s: 0,
      ingest: {
        last_batch_at: ago(900),
        batches_stored: 120_482,
        rows_stored: 8_801_233,
        unsummed_s: 12,
      },
      agents: { total: members, fresh: members - 1, stale: 1, never_seen: 0, fresh_within_s: 60 },
      clock: { doubted: false, why: null },
      retention: people.retention,
      update: { checked_at: ago(5 * HOUR), newest: '0.2.0', available: true, problem: null },
    };
  }
}

function joinToken(id, site, uses, left, age, by, life) {
  const state = left === 0 ? 'used_up' : life < 0 ? 'expired' : 'open';
  return {
    id,
    site,
    uses,
    uses_left: left,
    created_at: ago(age),
    created_by: by,
    expires_at: new Date(Date.now() + life).toISOString(),
    state,
  };
}

function schedule(id, name, every, hour_utc, site, last) {
  const midnight = new Date().setUTCHours(0, 0, 0, 0);
  const length = { day: 1, week: 7, month: 30 }[every] * DAY;
  const at = (ms) => new Date(ms).toISOString();
  return {
    id,
    version: 1,
    changed_at: ago(12 * DAY),
    changed_by: 'ada',
    name,
    enabled: true,
    every,
    hour_utc,
    site,
    channel: 2,
    channel_name: 'Operations mail',
    next_at: at(midnight + DAY + hour_utc * HOUR + 5 * MINUTE),
    last: last && {
      from: at(midnight - length),
      to: at(midnight),
      decided_at: at(midnight + hour_utc * HOUR + 5 * MINUTE),
      ...last,
    },
  };
}

const ok = (body, status = 200) => ({ status, body });
const refuse = (status, code, detail, faults) => ({ status, problem: { code, detail, faults } });

export function systemAnswer({ key, path, body, who, system, people, mesh }) {
  if (key === 'GET /api/v1/system') return ok(system.status(mesh, people));
  if (path.startsWith('/api/v1/join-tokens')) return joinTokens({ key, path, who, system, people });
  if (path.startsWith('/api/v1/report-schedules'))
    return schedules({ key, path, body, who, system });
  return null;
}

function joinTokens({ key, path, who, system, people }) {
  if (who.role !== 'admin') return refuse(403, 'not_allowed', 'This needs the role admin.');
  if (key === 'GET /api/v1/join-tokens') return ok({ tokens: system.tokens });
  const id = path.split('/').at(-1);
  if (!key.startsWith('DELETE')) return null;
  if (!system.tokens.some((token) => token.id === id))
    return refuse(404, 'unknown_join_token', 'There is no such token.');
  system.tokens = system.tokens.filter((token) => token.id !== id);
  people.did(who.name, 'join_token.delete', id);
  return { status: 204 };
}

function schedules({ key, path, body, who, system }) {
  if (who.role === 'viewer') return refuse(403, 'not_allowed', 'This needs the role operator.');
  if (key === 'GET /api/v1/report-schedules') return ok({ schedules: system.schedules });
  if (who.role !== 'admin') return refuse(403, 'not_allowed', 'This needs the role admin.');
  const wanted = body?.schedule ?? body;
  if (wanted?.name === 'reserved')
    return refuse(400, 'invalid_schedule', 'The name: is reserved.', [
      { path: 'name', message: 'is reserved' },
    ]);
  const isTaken = system.schedules.some(
    ({ id, name }) => name === wanted?.name && !path.endsWith(`/${id}`),
  );
  if (wanted?.name && isTaken) return refuse(409, 'name_taken', 'There is a report of this name.');
  if (key === 'POST /api/v1/report-schedules') {
    const id = 1 + Math.max(0, ...system.schedules.map((one) => one.id));
    const made = { ...schedule(id, '', body.every, body.hour_utc, null, null), ...body, id };
    made.changed_by = who.name;
    if (!made.enabled) made.next_at = null;
    system.schedules.push(made);
    return ok(made, 201);
  }
  const [, number, send] = /report-schedules\/(\d+)(\/send)?$/.exec(path) ?? [];
  const found = system.schedules.find(({ id }) => id === Number(number));
  if (!found) return refuse(404, 'unknown_schedule', 'There is no such schedule.');
  if (send) {
    const sent = found.id === 1;
    const detail = sent ? '' : 'The mail server refused: 550 no such user.';
    const { last } = schedule(0, '', found.every, found.hour_utc, null, { detail });
    found.last = { ...last, state: sent ? 'sent' : 'given_up', decided_at: ago(0) };
    return ok({ sent, detail, took_ms: 310 });
  }
  if (key.startsWith('DELETE')) {
    system.schedules = system.schedules.filter((one) => one !== found);
    return { status: 204 };
  }
  if (body.version !== found.version)
    return refuse(409, 'changed_meanwhile', 'Somebody changed it meanwhile. Read it again.');
  Object.assign(found, body.schedule, { version: found.version + 1, changed_by: who.name });
  const fresh = schedule(found.id, '', found.every, found.hour_utc, null, null);
  found.next_at = found.enabled ? fresh.next_at : null;
  return ok(found);
}
