import { describe, expect, it } from 'vitest';
import { retentionFaults, sayPeriod, shortened } from '../src/model/retention';
import { LONG, secondsOf, spanOf } from '../src/model/span';
import { sayClock, versionsOf } from '../src/model/system';

const DAY = 86_400;
const USUAL = {
  samples_s: 7 * DAY,
  minutes_s: 90 * DAY,
  hours_s: 730 * DAY,
  days_s: 3_650 * DAY,
  events_s: 365 * DAY,
};

describe('how long things are kept', () => {
  it('is written in the largest unit that says it exactly, and read back', () => {
    for (const seconds of [3_600, 5_400, DAY, 90 * DAY, 61]) {
      expect(secondsOf(spanOf(seconds, LONG))).toBe(seconds);
    }
    expect(spanOf(36 * 3_600, LONG)).toEqual({ value: 36, unit: 'h' });
    expect(sayPeriod(730 * DAY)).toBe('2 years');
    expect(sayPeriod(DAY)).toBe('1 day');
    expect(sayPeriod(90 * DAY)).toBe('90 days');
  });

  it('is checked by the rules of the aggregator', () => {
    const faults = (changes: Partial<typeof USUAL>) =>
      retentionFaults({ ...USUAL, ...changes }).map(({ field }) => field);
    expect(faults({})).toEqual([]);
    expect(faults({ samples_s: 60 })).toEqual(['samples_s']);
    expect(faults({ events_s: NaN })).toEqual(['events_s']);
    expect(faults({ hours_s: 80 * DAY })).toEqual(['hours_s']);
    expect(faults({ days_s: 101 * 365 * DAY })).toEqual(['days_s']);
  });

  it('names what a change would delete', () => {
    const before = { ...USUAL, version: 3 };
    expect(shortened(before, USUAL)).toEqual([]);
    expect(shortened(before, { ...USUAL, minutes_s: 30 * DAY })).toEqual(['Sums of a minute']);
  });
});

describe('what the page can tell of the system', () => {
  it('compares clocks without saying which is wrong', () => {
    expect(sayClock(300)).toBe('agrees with this browser’s');
    expect(sayClock(-30_000)).toBe('30\u00a0s behind this browser’s');
    expect(sayClock(600_000)).toBe('10\u00a0min ahead of this browser’s');
  });

  it('counts versions, the most frequent first', () => {
    const agents = ['0.1.0', '0.2.0', '0.2.0', ''].map((version) => ({ version }));
    expect(versionsOf(agents)[0]).toEqual({ version: '0.2.0', count: 2 });
    expect(versionsOf(agents)).toHaveLength(3);
  });
});
