import { describe, expect, it } from 'vitest';
import type { Incident } from '../src/api/alerts';
import { affectedBy, isAbout, matrixPath } from '../src/model/affected';
import {
  badgeText,
  byUrgency,
  fitting,
  isDue,
  lasted,
  overQuestion,
  parseIncidents,
  sayFound,
  timesOf,
} from '../src/model/incident';
import { LiveMatrix } from '../src/model/live';
import { formatUtc } from '../src/model/report';
import { sayReturned, sayTimes } from '../src/model/returned';
import { NOW, before, AGENTS, nameOf, incident } from './alerts';

describe('incidents', () => {
  it('stand with what wakes people first, and what is taken care of last', () => {
    const ack = { by: 'ada', at: before(1), note: '' };
    const all = [
      incident({ id: 'info', severity: 'info' }),
      incident({ id: 'acked', severity: 'critical', acknowledgement: ack }),
      incident({ id: 'old', severity: 'critical', since: before(50) }),
      incident({ id: 'new', severity: 'critical', since: before(5) }),
      incident({ id: 'silenced', severity: 'critical', is_silenced: true }),
    ];
    expect(byUrgency(all).map(({ id }) => id)).toEqual(['new', 'old', 'info', 'acked', 'silenced']);
  });

  it('are filtered by what the address says, and by nothing it cannot mean', () => {
    const parse = (text: string) => parseIncidents(new URLSearchParams(text));
    expect(parse('state=odd&severity=odd&class=odd')).toMatchObject({
      state: '',
      severity: '',
      class: '',
    });
    expect(overQuestion(parse('severity=critical'))).toEqual({
      state: 'over',
      limit: 50,
      severity: 'critical',
    });
    expect(overQuestion(parse('site=alpha&cursor=1.2')).limit).toBe(500);
  });

  it('touch a place by their agents, their sites, or as a whole mesh', () => {
    const all = [
      incident({ id: 'agent', agents: [AGENTS[0].id] }),
      incident({ id: 'site', subject: 'site', sites: ['alpha'] }),
      incident({ id: 'mesh', subject: 'mesh' }),
      incident({ id: 'other', agents: [AGENTS[2].id] }),
    ];
    const ids = (text: string) => {
      const view = parseIncidents(new URLSearchParams(text));
      return fitting(all, view, AGENTS).map(({ id }) => id);
    };
    expect(ids('site=alpha')).toEqual(['agent', 'site', 'mesh']);
    expect(ids('agent=alpha-2')).toEqual(['site', 'mesh']);
    expect(ids('agent=nobody')).toEqual(['mesh']);
  });

  it('are asked for rarely, and more often while the picture moves', () => {
    expect(isDue(14_000, 0, -Infinity)).toBe(false);
    expect(isDue(15_000, 0, -Infinity)).toBe(true);
    expect(isDue(6_000, 0, 1_000)).toBe(true);
    expect(isDue(5_000, 0, 1_000)).toBe(false);
    expect(isDue(106_000, 100_000, 1_000)).toBe(false);
    expect([badgeText(7), badgeText(100)]).toEqual(['7', '99+']);
    expect(lasted(incident({ since: before(14.4) }), NOW)).toBe('14\u00a0min');
  });

  it('that came back say when, how often, and how long in all', () => {
    const back = incident({
      first_opened_at: '2026-03-05T12:03:00Z',
      opened_at: '2026-03-05T12:31:00Z',
      flaps: 2,
      duration_s: 14 * 60 + 7,
    });
    expect(sayReturned(timesOf(back), formatUtc)).toEqual([
      'first 5 Mar 2026, 12:03',
      'back 12:31',
      'there 3 times',
      '14\u00a0min in all',
    ]);
    const later = { ...back, opened_at: '2026-03-06T00:31:00Z' };
    expect(sayReturned(timesOf(later), formatUtc)[1]).toBe('back 6 Mar 2026, 00:31');
    expect(sayTimes(timesOf(back))).toEqual(['there 3 times', '14\u00a0min in all']);
    expect(lasted(back, NOW)).toBe('14\u00a0min in all');
    expect(sayReturned(timesOf(incident({})), formatUtc)).toEqual([]);
    expect(sayTimes(timesOf(incident({})))).toEqual([]);
  });

  it('were last found as exactly as that is known', () => {
    const found = (minutes: number) => sayFound(incident({ last_seen_at: before(minutes) }), NOW);
    expect(found(0.7)).toBe('less than 1\u00a0min ago');
    expect(found(-0.1)).toBe('less than 1\u00a0min ago');
    expect(found(1.2)).toBe('1\u00a0min ago');
  });
});

describe('the pairs of an incident', () => {
  const cells = new Uint32Array([5, 1, 4, 1, 5, 4, 3, 1, 5]);
  const matrix = new LiveMatrix({
    ...{ n: 3, generation: 1n, sequence: 0n, serverMicros: 0n },
    cells,
  });

  it('are those of the agent, the two ends, or between the sites, the worst first', () => {
    const about = (changes: Partial<Incident>) =>
      affectedBy(incident(changes), matrix, AGENTS, 8) ?? null;
    const agent = about({ agents: [AGENTS[2].id] });
    expect(agent).toMatchObject({ total: 4, bad: 3, unknown: 0 });
    expect(agent?.pairs.map(({ source, target }) => `${source} ${target}`)).toEqual([
      'alpha-1 beta-1',
      'alpha-2 beta-1',
      'beta-1 alpha-1',
    ]);
    // Of a single pair both ways are shown, also the good one.
    expect(about({ subject: 'pair', agents: [AGENTS[1].id, AGENTS[2].id] })?.pairs).toHaveLength(2);
    expect(about({ subject: 'site', sites: ['alpha'] })?.total).toBe(4);
    expect(about({ subject: 'mesh' })).toBeNull();
    expect(about({ agents: ['gone'] })).toBeNull();
  });

  it('are told from others, whichever way they are looked at', () => {
    const [one, two, far] = AGENTS;
    const about = (changes: Partial<Incident>, a = one, b = far) => [
      isAbout(incident(changes), a, b),
      isAbout(incident(changes), b, a),
    ];
    expect(about({ subject: 'pair', agents: [one.id, far.id] })).toEqual([true, true]);
    expect(about({ subject: 'pair', agents: [two.id, far.id] })).toEqual([false, false]);
    expect(about({ subject: 'agent', agents: [far.id] })).toEqual([true, true]);
    expect(about({ subject: 'agent', agents: [two.id] })).toEqual([false, false]);
    expect(about({ subject: 'site', sites: ['alpha'] })).toEqual([true, true]);
    // Within a site that is cut off, paths go on.
    expect(about({ subject: 'site', sites: ['alpha'] }, one, two)).toEqual([false, false]);
    expect(about({ subject: 'site_pair', sites: ['beta', 'alpha'] })).toEqual([true, true]);
    expect(about({ subject: 'mesh' })).toEqual([true, true]);
    expect(about({ subject: 'rest' })).toEqual([false, false]);
  });

  it('are a link into the matrix', () => {
    const pair = incident({ subject: 'site_pair', sites: ['alpha', 'beta'] });
    expect(matrixPath(pair, nameOf)).toBe('/matrix?view=list&q=alpha+%3E+beta');
    expect(matrixPath(incident({ subject: 'mesh' }), nameOf)).toBe('/matrix');
  });
});
