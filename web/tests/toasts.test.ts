import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { toasts } from '../src/state/toasts.svelte';

const said = () => toasts.all.map(({ text }) => text);

describe('a toast', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    for (const { id } of toasts.all) toasts.dismiss(id);
    for (const why of ['pointer', 'focus'] as const) toasts.release(why);
    vi.useRealTimers();
  });

  it('goes by itself, but a failure stays until it is put away', () => {
    toasts.done('saved');
    toasts.failed('refused');
    vi.advanceTimersByTime(7_900);
    expect(said()).toEqual(['saved', 'refused']);
    vi.advanceTimersByTime(200);
    expect(said()).toEqual(['refused']);
    vi.advanceTimersByTime(3_600_000);
    expect(said()).toEqual(['refused']);
  });

  it('stays while somebody reads it', () => {
    toasts.done('saved');
    vi.advanceTimersByTime(5_000);
    toasts.hold('pointer');
    vi.advanceTimersByTime(60_000);
    expect(said()).toEqual(['saved']);
    toasts.release('pointer');
    vi.advanceTimersByTime(8_000);
    expect(said()).toEqual([]);
  });

  it('stays too when it comes while somebody reads another', () => {
    toasts.hold('pointer');
    toasts.failed('refused');
    toasts.done('saved');
    vi.advanceTimersByTime(60_000);
    expect(said()).toEqual(['refused', 'saved']);
    toasts.release('pointer');
    vi.advanceTimersByTime(8_000);
    expect(said()).toEqual(['refused']);
  });

  it('stays until neither the pointer nor the focus is there', () => {
    toasts.done('saved');
    toasts.hold('focus');
    toasts.hold('pointer');
    toasts.release('pointer');
    expect(toasts.isHeld).toBe(true);
    vi.advanceTimersByTime(60_000);
    expect(said()).toEqual(['saved']);
    toasts.release('focus');
    vi.advanceTimersByTime(8_000);
    expect(said()).toEqual([]);
  });

  it('is not held any more by those that were put away', () => {
    toasts.done('saved');
    toasts.hold('focus');
    toasts.dismiss(toasts.all[0].id);
    toasts.done('saved again');
    vi.advanceTimersByTime(8_000);
    expect(said()).toEqual([]);
  });

  it('is there once, and at most three are', () => {
    for (const text of ['a', 'b', 'a', 'c', 'd']) toasts.failed(text);
    expect(said()).toEqual(['a', 'c', 'd']);
  });
});
