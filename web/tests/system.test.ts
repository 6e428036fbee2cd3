import { describe, expect, it } from 'vitest';
import type { Schedule } from '../src/api/schedules';
import type { SystemStatus } from '../src/api/system';
import { csvPath, parseReport } from '../src/model/report';
import { sayLast, sayNext, sayWhen, scheduleFaults } from '../src/model/schedule';
import { formatBytes, sayRung, sayUpdate, warningsOf } from '../src/model/system';

const WELL: SystemStatus = {
  version: '0.1.0',
  started_at: '2026-11-23T00:00:00Z',
  uptime_s: 4_711,
  draining: false,
  database: {
    reachable: true,
    problem: null,
    rung: 'sqlite',
    version: '3.46',
    schema: 7,
    bytes: 100,
    shared: false,
  },
  replicas: [
    {
      id: '00f3a1b2c3d4e5f6',
      host: 'a',
      version: '0.1.0',
      started_at: '2026-11-23T00:00:00Z',
      last_seen_at: '2026-11-23T00:00:00Z',
      is_self: true,
      is_leader: true,
    },
  ],
  unled_s: 0,
  ingest: { last_batch_at: null, batches_stored: 0, rows_stored: 0, unsummed_s: 12 },
  agents: { total: 0, fresh: 0, stale: 0, never_seen: 0, fresh_within_s: 60 },
  clock: { doubted: false, why: null },
  retention: { version: 0, samples_s: 1, minutes_s: 1, hours_s: 1, days_s: 1, events_s: 1 },
  update: null,
};

describe('the status of the aggregator', () => {
  const keys = (changes: Partial<SystemStatus>) =>
    warningsOf({ ...WELL, ...changes }).map(({ key }) => key);

  it('warns of what somebody should do something about', () => {
    expect(keys({})).toEqual([]);
    const idle = WELL.replicas.map((one) => ({ ...one, is_leader: false }));
    expect(keys({ replicas: idle, unled_s: 20 })).toEqual([]);
    expect(keys({ replicas: idle, unled_s: 60 })).toEqual(['leader']);
    expect(keys({ ingest: { ...WELL.ingest, unsummed_s: 300 } })).toEqual(['unsummed']);
    expect(keys({ clock: { doubted: true, why: null }, draining: true })).toEqual([
      'clock',
      'draining',
    ]);
    expect(keys({ agents: { ...WELL.agents, total: 3, stale: 3 } })).toEqual(['agents']);
    const database = { ...WELL.database, reachable: false, problem: 'It is full.' };
    expect(warningsOf({ ...WELL, database })[0].text).toBe('It is full.');
  });

  it('is told in words', () => {
    expect(sayRung('timescaledb-community')).toBe('TimescaleDB, community edition');
    expect(sayRung('something-new')).toBe('something-new');
    expect([0, 900, 1_536, 104_857_600].map(formatBytes)).toEqual([
      '0 B',
      '900 B',
      '1.5 KiB',
      '100 MiB',
    ]);
    const update = { checked_at: '2026-11-23T00:00:00Z', newest: '0.2.0', available: true };
    expect(sayUpdate(WELL)).toBe('not looked for');
    expect(sayUpdate({ ...WELL, update: { ...update, problem: null } })).toBe('0.2.0 is there');
    expect(sayUpdate({ ...WELL, update: { ...update, problem: 'No answer.' } })).toBe(
      'not known: No answer.',
    );
    expect(sayUpdate({ ...WELL, update: { ...update, available: false, problem: null } })).toBe(
      'none newer than 0.1.0',
    );
  });
});

describe('a report by mail', () => {
  const schedule: Schedule = {
    id: 1,
    version: 1,
    changed_at: '',
    changed_by: 'ada',
    name: 'Weekly',
    enabled: true,
    every: 'week',
    hour_utc: 6,
    site: null,
    channel: 2,
    channel_name: 'Mail',
    next_at: '2026-11-30T06:05:00Z',
    last: null,
  };

  it('says when it goes out and of what it is', () => {
    expect(sayWhen(schedule)).toBe('Each Monday at 06:05 UTC, of the week before');
    expect(sayNext({ ...schedule, enabled: false })).toBe('not sent');
    expect(sayNext({ ...schedule, channel_name: null })).toBe('nowhere to send it');
    expect(sayLast(schedule)).toBe('none yet');
    const last = { from: '', to: '', decided_at: '2026-11-23T06:05:00Z', detail: '' };
    expect(sayLast({ ...schedule, last: { ...last, state: 'given_up' } })).toMatch(/^given up, /);
  });

  it('needs a name and a channel', () => {
    expect(scheduleFaults(schedule)).toEqual([]);
    const fields = scheduleFaults({ ...schedule, name: ' ', channel: 0 }).map(({ field }) => field);
    expect(fields).toEqual(['name', 'channel']);
  });
});

describe('the file of incidents', () => {
  it('asks for all of them, of the same period and filter', () => {
    const view = parseReport(new URLSearchParams('period=7d&site=alpha'));
    const params = new URL(csvPath(view, 0, 'incidents'), 'http://x').searchParams;
    expect(params.get('part')).toBe('incidents');
    expect(params.get('incidents')).toBe('10000');
    expect(params.get('site')).toBe('alpha');
    expect(params.has('pairs')).toBe(false);
  });
});
