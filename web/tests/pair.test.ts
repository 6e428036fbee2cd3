// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Series } from '../src/model/series';

const answers = vi.hoisted(() => ({ readSeries: vi.fn(), expire: vi.fn() }));

vi.mock('../src/api/client', async () => {
  class ApiProblem extends Error {
    constructor(
      readonly status: number,
      message: string,
    ) {
      super(message);
    }
  }
  const messageOf = (problem: Error) => problem.message;
  return { ApiProblem, messageOf, readSeries: answers.readSeries };
});
vi.mock('../src/state/session.svelte', () => ({ session: { expire: answers.expire } }));

const { ApiProblem } = (await import('../src/api/client')) as unknown as {
  ApiProblem: new (status: number, message: string) => Error;
};
const { PairHistory } = await import('../src/state/pair.svelte');

const series = (source: string, target: string): Series => ({
  ...{ source, target, kind: 'icmp', sources: ['samples'], points: [], step_s: 60 },
  ...{ from: '2026-11-23T10:00:00Z', to: '2026-11-23T11:00:00Z' },
});
const now = () => Date.parse('2026-11-23T11:00:00Z');
const settle = () => vi.advanceTimersByTimeAsync(0);

describe('the history of a pair', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    answers.readSeries.mockImplementation((a: string, b: string) => Promise.resolve(series(a, b)));
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.resetAllMocks();
  });

  it('reads both directions up to the same moment, again and again until it is left', async () => {
    const stop = new PairHistory().follow('a', 'b', '1h', now);
    await settle();
    expect(answers.readSeries.mock.calls).toEqual([
      ['a', 'b', '1h', now()],
      ['b', 'a', '1h', now()],
    ]);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(answers.readSeries).toHaveBeenCalledTimes(4);
    stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(answers.readSeries).toHaveBeenCalledTimes(4);
  });

  it('keeps the picture while the range changes, and never under the name of another pair', async () => {
    const history = new PairHistory();
    history.follow('a', 'b', '1h', now)();
    const stop = history.follow('a', 'b', '1h', now);
    await settle();
    expect(history.phase).toBe('ready');
    stop();
    history.follow('a', 'b', '7d', now)();
    expect([history.phase, history.shown]).toEqual(['ready', '1h']);
    history.follow('a', 'c', '7d', now)();
    expect([history.phase, history.columns]).toEqual(['loading', null]);
  });

  it('drops the answer to a question that was left', async () => {
    const history = new PairHistory();
    history.follow('a', 'b', '1h', now)();
    await settle();
    expect(history.phase).toBe('loading');
  });

  it('shows what it has, marked old, while the aggregator is away', async () => {
    const history = new PairHistory();
    const stop = history.follow('a', 'b', '1h', now);
    await settle();
    answers.readSeries.mockRejectedValue(new ApiProblem(503, 'Away.'));
    await vi.advanceTimersByTimeAsync(15_000);
    expect([history.phase, history.isOld, history.message]).toEqual(['ready', true, 'Away.']);
    stop();
  });

  it.each([
    [404, 'missing'],
    [500, 'failed'],
    [0, 'failed'],
  ])('says for status %i that it is %s', async (status, phase) => {
    answers.readSeries.mockRejectedValue(new ApiProblem(status, 'No.'));
    const history = new PairHistory();
    const stop = history.follow('a', 'b', '1h', now);
    await settle();
    expect(history.phase).toBe(phase);
    stop();
  });

  it('asks to sign in again when the session has ended', async () => {
    answers.readSeries.mockRejectedValue(new ApiProblem(401, 'No.'));
    const stop = new PairHistory().follow('a', 'b', '1h', now);
    await settle();
    expect(answers.expire).toHaveBeenCalled();
    stop();
  });
});
