import { describe, expect, it } from 'vitest';
import { DOWN, LOSSY, SELF } from '../src/model/cell';
import { formatAge, formatLoss, formatRtt, plural, sayPair } from '../src/model/format';
import { packCell } from './cells';

describe('numbers', () => {
  it('show RTT with three digits and the unit that fits', () => {
    expect([268, 999, 1_000, 9_994, 9_996, 48_128, 99_960, 1_204_000].map(formatRtt)).toEqual([
      '268\u00a0µs',
      '999\u00a0µs',
      '1.00\u00a0ms',
      '9.99\u00a0ms',
      '10.0\u00a0ms',
      '48.1\u00a0ms',
      '100\u00a0ms',
      '1.20\u00a0s',
    ]);
  });

  it('show loss in percent, and never turn unknown into zero', () => {
    expect([0, 4, 96, 100, 1_000].map(formatLoss)).toEqual([
      '0\u00a0%',
      '0.4\u00a0%',
      '9.6\u00a0%',
      '10\u00a0%',
      '100\u00a0%',
    ]);
    expect([formatLoss(null), formatRtt(null)]).toEqual(['–', '–']);
  });

  it('show an age in its largest unit, also when clocks run backwards', () => {
    expect([-5, 999, 59_999, 60_000, 7_200_000, 172_800_000].map(formatAge)).toEqual([
      '0\u00a0s',
      '0\u00a0s',
      '59\u00a0s',
      '1\u00a0min',
      '2\u00a0h',
      '2\u00a0d',
    ]);
  });

  it('count in words', () => {
    expect([plural(1, 'pair'), plural(2_000, 'pair')]).toEqual(['1 pair', '2,000 pairs']);
  });
});

describe('the spoken cell', () => {
  it('says both directions with both numbers', () => {
    const said = sayPair('a', 'b', packCell(LOSSY, 20, 48_128), packCell(DOWN, 1_000, null));
    expect(said).toBe(
      'a to b: lossy, loss 2.0\u00a0%, RTT 48.1\u00a0ms. Reverse: down, loss 100\u00a0%, RTT not known.',
    );
  });

  it('says that the diagonal is the agent itself', () => {
    const self = packCell(SELF, null, null);
    expect(sayPair('a', 'a', self, self)).toBe('a: itself.');
  });
});
