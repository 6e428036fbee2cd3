import { describe, expect, it } from 'vitest';
import { freshness, remedyFor, retryDelayMs } from '../src/model/reconnect';

describe('the wait before another attempt', () => {
  it('grows, is capped, and never falls to nothing', () => {
    const longest = [0, 1, 2, 3, 10, 10_000].map((attempt) => retryDelayMs(attempt, 0.999999));
    expect(longest).toEqual([500, 1_000, 2_000, 4_000, 30_000, 30_000]);
    expect([0, 5, 10_000].map((attempt) => retryDelayMs(attempt, 0))).toEqual([250, 250, 250]);
  });

  it('spreads clients over the whole range', () => {
    expect(retryDelayMs(4, 0.5)).toBe(4_125);
  });
});

describe('a refused request', () => {
  it('is retried only where trying again can help', () => {
    expect([401, 403, 0, 404, 429, 503].map(remedyFor)).toEqual([
      'sign-in',
      'forbidden',
      'retry',
      'retry',
      'retry',
      'retry',
    ]);
  });
});

describe('the picture', () => {
  it('is stale after 5 s of silence, and not a moment before', () => {
    expect(freshness(null, 99_999)).toBe('waiting');
    expect(freshness(1_000, 5_999)).toBe('fresh');
    expect(freshness(1_000, 6_000)).toBe('stale');
  });
});
