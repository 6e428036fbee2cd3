import { describe, expect, it } from 'vitest';
import { boundsOf, customFrom, parsePeriod, periodFault, periodParams } from '../src/model/period';
import {
  csvPath,
  formatShare,
  parseReport,
  periodFor,
  questionOf,
  sayDataFrom,
  sayShare,
  slicesOf,
} from '../src/model/report';

const NOW = Date.parse('2026-03-05T10:30:00Z');
const custom = (from: string, to: string) => ({ period: 'custom', from, to }) as const;

describe('a period', () => {
  it('ends now, or at a day or month of UTC', () => {
    const plain = (period: '7d' | 'this-month' | 'last-month') =>
      boundsOf({ period, from: '', to: '' }, NOW);
    expect(plain('7d')).toEqual({ range: '7d' });
    expect(plain('this-month')).toEqual({ from: '2026-03-01T00:00:00Z' });
    expect(plain('last-month')).toEqual({
      from: '2026-02-01T00:00:00Z',
      to: '2026-03-01T00:00:00Z',
    });
    expect(boundsOf(custom('2026-02-27', '2026-02-28'), NOW)).toEqual({
      from: '2026-02-27T00:00:00Z',
      to: '2026-03-01T00:00:00Z',
    });
  });

  it('finds the month before January in the year before', () => {
    const january = Date.parse('2026-01-02T00:00:00Z');
    const last = boundsOf({ period: 'last-month', from: '', to: '' }, january);
    expect(last.from).toBe('2025-12-01T00:00:00Z');
  });

  it('goes into the address and back; nonsense there is the usual one', () => {
    const wanted = custom('2026-01-01', '2026-01-31');
    const params = periodParams(wanted);
    expect(parsePeriod(new URLSearchParams(params as Record<string, string>), '30d')).toEqual(
      wanted,
    );
    expect(periodParams({ period: '30d', from: '', to: '' }).period).toBe('30d');
    expect(parsePeriod(new URLSearchParams('period=ever&from=yesterday'), '30d')).toEqual({
      period: '30d',
      from: '',
      to: '',
    });
  });

  it('is as long as there is something to report', () => {
    const joined = (daysAgo: number) => ({
      joined_at: new Date(NOW - daysAgo * 86_400_000).toISOString(),
    });
    expect(periodFor([joined(0.2), joined(0.9)], NOW)).toBe('24h');
    expect(periodFor([joined(0.2), joined(3)], NOW)).toBe('7d');
    expect(periodFor([joined(90), joined(0.2)], NOW)).toBe('30d');
    expect(periodFor([], NOW)).toBe('30d');
  });

  it('says why it cannot be', () => {
    expect(periodFault(custom('', '2026-01-01'))).toMatch(/first and the last/);
    expect(periodFault(custom('2026-01-02', '2026-01-01'))).toMatch(/before/);
    expect(periodFault(custom('2026-01-01', '2026-01-01'))).toBe('');
    expect(periodFault(custom('2026-13-41', '2026-01-01'))).toMatch(/Pick/);
    expect(periodFault(custom('2020-01-01', '2026-01-01'), 400)).toMatch(/400 are the most/);
  });

  it('begins to pick days at what was shown', () => {
    expect(customFrom({ period: '7d', from: '', to: '' }, NOW)).toEqual(
      custom('2026-02-27', '2026-03-05'),
    );
    expect(customFrom({ period: 'last-month', from: '', to: '' }, NOW)).toEqual(
      custom('2026-02-01', '2026-02-28'),
    );
  });
});

describe('a report', () => {
  it('asks what the address says, and the file for all pairs of the same', () => {
    const view = parseReport(new URLSearchParams('period=7d&agent=a%2B1&pairs=100'));
    expect(questionOf(view, NOW)).toEqual({ range: '7d', pairs: 100, agent: 'a+1' });
    expect(csvPath(view, NOW)).toBe(
      '/api/v1/reports/availability?range=7d&pairs=100000&agent=a%2B1&format=csv',
    );
    expect(parseReport(new URLSearchParams('pairs=7')).pairs).toBe(25);
  });

  it('says since when there is data, where that is inside of its period', () => {
    const say = (data_from: string | null) =>
      sayDataFrom({ from: '2026-02-01T00:00:00Z', to: '2026-03-01T00:00:00Z', data_from });
    expect(say('2026-02-11T08:30:00Z')).toBe(
      'There is data since 11 Feb 2026, 08:30 UTC; before that nothing was measured.',
    );
    const none = [null, '2026-01-31T00:00:00Z', '2026-02-01T00:00:00Z'];
    expect([...none, '2026-03-02T00:00:00Z'].map(say)).toEqual(['', '', '', '']);
  });

  it('never rounds up to all, nor down to nothing', () => {
    expect(formatShare(100)).toBe('100\u00a0%');
    expect(formatShare(99.9999)).toBe('99.999\u00a0%');
    expect(formatShare(99.995)).toBe('99.995\u00a0%');
    expect(formatShare(99.96, 1)).toBe('99.9\u00a0%');
    expect(formatShare(0)).toBe('0\u00a0%');
    expect(formatShare(null)).toBe('–');
    expect(sayShare(0)).toBe('0\u00a0%');
    expect(sayShare(0.000001)).toBe('less than 0.01\u00a0%');
    expect(sayShare(0.999999)).toBe('more than 99.99\u00a0%');
    expect(sayShare(0.5)).toBe('50.0\u00a0%');
  });

  it('splits a time into parts of the whole, also where there is none', () => {
    const times = { availability_percent: null, coverage_percent: 0 };
    const none = slicesOf({ ...times, up_s: 0, down_s: 0, unknown_s: 0 });
    expect(none.map(({ share }) => share)).toEqual([0, 0, 0]);
    const some = slicesOf({ ...times, up_s: 60, down_s: 20, unknown_s: 20 });
    expect(some.map(({ share }) => share)).toEqual([0.6, 0.2, 0.2]);
  });
});
