import { describe, expect, it } from 'vitest';
import type { AlertRule, Channel, Silence } from '../src/api/alerts';
import { sayEvent, sayIncident, sayKind, sayTest } from '../src/model/channel';
import {
  channelBody,
  channelDraft,
  channelFaults,
  freshKey,
  switched,
} from '../src/model/channel-draft';
import { unplaced } from '../src/model/problem';
import {
  ruleBody,
  ruleDraft,
  ruleFaults,
  sayCondition,
  sayHold,
  sayRoute,
} from '../src/model/rule';
import { EVERYWHERE } from '../src/model/scope';
import {
  endedNow,
  inOrder,
  sayWhen,
  silenceBody,
  silenceDraft,
  silenceFaults,
} from '../src/model/silence-window';
import { NOW, before, AGENTS, NOBODY } from './alerts';

describe('what the aggregator finds wrong', () => {
  it('says what has no field in the form all the same', () => {
    const errors = [
      { field: 'name', detail: 'Is taken.' },
      { field: 'scope.source.agents[2]', detail: 'Is nobody.' },
      { field: 'target.url', detail: 'Is too long.' },
      { field: '', detail: 'The author has no name.' },
    ];
    expect(unplaced(errors, ['name', 'scope'])).toEqual([
      'target.url: Is too long.',
      'The author has no name.',
    ]);
  });
});

describe('a rule', () => {
  const kept = (condition: AlertRule['rule']['condition']): AlertRule => ({
    id: 1,
    version: 3,
    changed_at: before(1),
    changed_by: '',
    rule: {
      ...{ name: 'One', enabled: true, condition, for_s: 300, clear_for_s: 60, severity: 'info' },
      scope: { source: NOBODY, target: NOBODY, both_ways: true },
      channels: [2],
    },
  });
  const loss = kept({ kind: 'loss', above_permille: 25, below_permille: 10 });

  it('is said in words', () => {
    expect(sayCondition(loss.rule.condition)).toBe('Loss above 2.5\u00a0%');
    expect(sayHold(loss.rule)).toBe('for 5\u00a0min, over at 1\u00a0% or less for 1\u00a0min');
    expect(sayCondition({ kind: 'rtt', above_us: 60_500, below_us: 0 })).toBe(
      'RTT above 60.5\u00a0ms',
    );
    expect(sayCondition({ kind: 'silent', after_s: 60 })).toBe('Silent for 1\u00a0min');
    expect(sayRoute(loss.rule, null)).toBe('1 channel');
    expect(sayRoute({ ...loss.rule, channels: [] }, [])).toBe('Nobody, for the record');
    expect(sayRoute({ ...loss.rule, channels: null }, [])).toBe('All channels');
  });

  it('comes back from the form as it went in', () => {
    for (const rule of [
      loss,
      kept({ kind: 'rtt', above_us: 60_000, below_us: 50_500 }),
      kept({ kind: 'unreachable' }),
    ])
      expect(ruleBody(ruleDraft(rule, AGENTS))).toEqual(rule.rule);
    const silent = kept({ kind: 'silent', after_s: 90 });
    expect(ruleBody(ruleDraft(silent, AGENTS))).toMatchObject({
      condition: { kind: 'silent', after_s: 90 },
      for_s: 0,
    });
  });

  it('is not sent with a field that is empty', () => {
    const draft = { ...ruleDraft(null, AGENTS), above: null, route: 'some' as const };
    expect(ruleFaults(draft).map(({ field }) => field)).toEqual([
      'condition.above_permille',
      'channels',
    ]);
    expect(ruleFaults(ruleDraft(null, AGENTS))).toEqual([]);
  });
});

describe('a silence', () => {
  const silence = (state: string, from: number, until: number): Silence => ({
    ...{ id: from, version: 1, changed_at: before(1), changed_by: 'ada', state },
    silence: { from: before(-from), until: before(-until), reason: 'x', maintenance: false },
  });

  it('begins with the aggregator’s clock, and lasts as long as was chosen', () => {
    const draft = { ...silenceDraft(null, AGENTS, NOW), hours: 4, reason: ' disks ' };
    expect(silenceBody(draft, NOW)).toMatchObject({
      from: '2026-11-23T12:00:00Z',
      until: '2026-11-23T16:00:00Z',
      reason: 'disks',
    });
  });

  it('needs both ends where they are given', () => {
    const draft = { ...silenceDraft(null, AGENTS, NOW), hours: null, until: '' };
    expect(silenceFaults(draft).map(({ field }) => field)).toEqual(['scope', 'until']);
    expect(silenceFaults({ ...draft, scope: EVERYWHERE }).map(({ field }) => field)).toEqual([
      'until',
    ]);
  });

  it('ends now, and never before it began', () => {
    expect(endedNow(silence('active', -60, 60), NOW).until).toBe('2026-11-23T12:00:00Z');
    const ahead = endedNow(silence('planned', 60, 120), NOW);
    expect(Date.parse(ahead.until)).toBeGreaterThan(Date.parse(ahead.from));
  });

  it('stands in the order of when it matters', () => {
    const all = [
      silence('over', -300, -200),
      silence('planned', 90, 100),
      silence('over', -90, -60),
      silence('active', -10, 60),
      silence('planned', 30, 40),
    ];
    expect(inOrder(all).map(({ id }) => id)).toEqual([-10, 30, 90, -90, -300]);
    expect(sayWhen(all[3], NOW)).toContain('1\u00a0h more');
  });
});

describe('a channel', () => {
  const settings = {
    ...{ host: 'mail.test', port: 587, security: 'starttls' as const, user: 'u', from: 'e@x.test' },
    ...{ to: ['a@x.test', 'b@x.test'], ca: null },
  };
  const channel: Channel = {
    ...{ id: 1, version: 2, changed_at: before(1), changed_by: 'ada', name: 'Mail', enabled: true },
    ...{ repeat_s: 3_600, resting_until: null, failures: 0, trouble: null },
    target: { kind: 'mail', settings, has_password: true },
  };

  it('is changed without its secrets, which then stay', () => {
    expect(switched(channel, false)).toEqual({
      ...{ name: 'Mail', enabled: false, repeat_s: 3_600 },
      target: { kind: 'mail', password: null, settings },
    });
    const hook = channelBody({ ...channelDraft(null, 'webhook'), url: ' https://x.test ' });
    expect(hook.target).toEqual({ kind: 'webhook', url: 'https://x.test', key: null });
  });

  it('takes recipients as people write them', () => {
    const draft = { ...channelDraft(channel, 'mail'), to: 'a@x.test, b@x.test\n\n c@x.test;' };
    const { target } = channelBody(draft);
    expect(target.kind === 'mail' && target.settings.to).toEqual([
      'a@x.test',
      'b@x.test',
      'c@x.test',
    ]);
  });

  it('takes no password of nobody', () => {
    const draft = { ...channelDraft(channel, 'mail'), password: 'secret', user: ' ' };
    expect(channelFaults(draft).map(({ field }) => field)).toEqual(['target.settings.user']);
    expect(channelFaults({ ...draft, user: 'u' })).toEqual([]);
    expect(channelFaults({ ...draft, password: '' })).toEqual([]);
    expect(channelFaults({ ...draft, kind: 'webhook' })).toEqual([]);
  });

  it('makes keys that are long enough and never the same', () => {
    expect(freshKey()).toMatch(/^[0-9a-f]{64}$/);
    expect(freshKey()).not.toBe(freshKey());
  });

  it('calls the incident of a message by its title, whoever knows that', () => {
    const incident = 'd6a5da4f-0000-4000-8000-000000000000';
    const open = [{ id: incident, title: 'a1 is down' }];
    expect(sayIncident({ incident, title: 'a1 was down' }, open)).toBe('a1 was down');
    expect(sayIncident({ incident, title: null }, open)).toBe('a1 is down');
    expect(sayIncident({ incident }, [])).toBe('Incident d6a5da4f');
  });

  it('tells a report from a test, and one that was due from one sent by hand', () => {
    expect(['report', 'sent_now', 'test'].map(sayKind)).toEqual(['Report', 'Report', 'Test']);
    expect(['report', 'sent_now'].map(sayEvent)).toEqual(['It was due', 'Sent by hand']);
  });

  it('says what came of a test, and what to do', () => {
    const discord: Channel = { ...channel, target: { kind: 'discord', origin: '' } };
    const failed = sayTest(discord, { sent: false, detail: 'HTTP 401: no', took_ms: 9 });
    expect(failed.title).toBe('Discord did not take the test');
    expect(failed.help).toContain('Make a new one');
    expect(failed.speaker).toBe('Discord');
    const unreached = { sent: false, detail: 'mail.test:587 refused the connection', took_ms: 9 };
    expect(sayTest(channel, unreached).title).toBe('The mail server could not be reached');
    expect(sayTest(channel, unreached).speaker).toBe('Everypath');
    const refused = { sent: false, detail: 'permanent error (535): no', took_ms: 9 };
    expect(sayTest(channel, refused).title).toBe('The mail server did not take the test');
    expect(sayTest(channel, refused).speaker).toBe('The mail server');
    expect(sayTest(channel, { sent: true, detail: '', took_ms: 1_240 }).help).toContain(
      '1.2\u00a0s',
    );
    const nobody = { ...refused, detail: 'gone@x.test: permanent error (550): no such user' };
    expect(sayTest(channel, nobody).speaker).toBe('The mail server');
    const some = {
      sent: true,
      detail: 'not taken: gone@x.test: permanent error (550)',
      took_ms: 9,
    };
    expect(sayTest(channel, some).title).toBe('Not everybody gets the test');
    expect(sayTest(channel, some).detail).toContain('gone@x.test');
  });
});
