import { describe, expect, it } from 'vitest';
import {
  gapsOf,
  measureOf,
  parseRange,
  summariseSeries,
  toColumns,
  topOf,
  type Point,
  type Series,
} from '../src/model/series';
import { formatDuration, formatStep, tickLabels } from '../src/model/time';

const START = Date.parse('2026-11-23T10:00:00Z') / 1_000;
const STEP = 60;

function point(minute: number, part: Partial<Point> = {}): Point {
  return {
    at: new Date((START + minute * STEP) * 1_000).toISOString(),
    measured_s: STEP,
    down_s: 0,
    unknown_s: 0,
    sent: 10,
    received: 10,
    late: 0,
    lost: 0,
    duplicated: 0,
    not_measured: {},
    loss_permille: 0,
    rtt_min_us: 90,
    rtt_mean_us: 100,
    rtt_max_us: 400,
    rtt_p50_us: 100,
    rtt_p95_us: 200,
    rtt_p99_us: 300,
    ...part,
  };
}

function series(points: Point[], minutes = 10): Series {
  return {
    source: 'a',
    target: 'b',
    kind: 'icmp',
    from: new Date(START * 1_000).toISOString(),
    to: new Date((START + minutes * STEP) * 1_000).toISOString(),
    step_s: STEP,
    sources: ['minute'],
    points,
  };
}

describe('a series', () => {
  it('keeps a place for every step, and nothing is not zero', () => {
    const columns = toColumns(series([point(0), point(1), point(4), point(9)]));
    expect(columns.times).toHaveLength(10);
    expect(measureOf(columns, 'loss_permille').slice(0, 5)).toEqual([0, 0, null, null, 0]);
    expect(gapsOf(columns)).toEqual([
      { from: 2, to: 4 },
      { from: 5, to: 8 },
    ]);
  });

  it('does not call the last minute missing while its results are on their way', () => {
    const columns = toColumns(series([point(0), point(1), point(2)]));
    expect([columns.times.length, columns.settled]).toEqual([10, 8]);
    expect(gapsOf(columns)).toEqual([{ from: 3, to: 8 }]);
    const daily = toColumns({ ...series([point(0)]), step_s: 300 });
    expect([daily.times.length, daily.settled]).toEqual([2, 1]);
  });

  it('is empty when nothing was measured, and total when the server says nonsense', () => {
    expect(gapsOf(toColumns(series([])))).toEqual([{ from: 0, to: 8 }]);
    expect(toColumns({ ...series([]), to: 'never' }).times).toEqual([]);
    expect(toColumns({ ...series([]), step_s: 0 }).times.length).toBeGreaterThan(0);
  });

  it('sums what can be summed and claims no percentile of percentiles', () => {
    const dead = { received: 0, lost: 10, loss_permille: 1_000, down_s: 60 };
    const silent = { rtt_min_us: null, rtt_mean_us: null, rtt_max_us: null };
    const all = toColumns(
      series([point(0), point(1, { rtt_mean_us: 300 }), point(9, { ...dead, ...silent })]),
    );
    const sum = summariseSeries(all);
    expect(sum).toMatchObject({ sent: 30, lost: 10, rttMean: 200, rttMin: 90, downSeconds: 60 });
    expect(sum.lossPermille).toBeCloseTo(333.3, 1);
    expect(sum.measuredPermille).toBe(300);
    expect(summariseSeries(toColumns(series([]))).lossPermille).toBeNull();
  });

  it('gives both directions one scale', () => {
    const [a, b] = [[point(0)], [point(0, { rtt_p99_us: 900 })]].map((points) =>
      toColumns(series(points)),
    );
    expect(topOf([a, b], 'rtt_p99_us', 200)).toBe(900);
    expect(topOf([], 'rtt_p99_us', 200)).toBe(200);
  });

  it('knows four ranges and takes the first for anything else', () => {
    expect([parseRange('7d'), parseRange('1y'), parseRange(null)]).toEqual(['7d', '1h', '1h']);
  });
});

describe('times', () => {
  it('says a duration in two units at most', () => {
    const said = [0, 45, 200, 7_500, 7_200, 273_600].map(formatDuration);
    expect(said).toEqual([
      '0\u00a0s',
      '45\u00a0s',
      '3\u00a0min 20\u00a0s',
      '2\u00a0h 5\u00a0min',
      '2\u00a0h',
      '3\u00a0d 4\u00a0h',
    ]);
  });

  it('names the day where another one begins', () => {
    const hours = [22, 23, 24, 25].map((hour) => new Date(2026, 10, 23, hour).getTime() / 1_000);
    expect(tickLabels(hours, 3_600)).toEqual(['22:00', '23:00', '24 Nov', '01:00']);
    expect(tickLabels(hours.slice(0, 1), 86_400)).toEqual(['23 Nov']);
    expect(formatStep(hours[0], 15)).toBe('23 Nov, 22:00:00');
  });
});
