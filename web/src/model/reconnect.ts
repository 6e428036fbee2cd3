/** When to try again, and when trying again would not help. */

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;

/** No frame for this long (the protocol sends at least one a second) means that the picture is stale. */
export const STALE_AFTER_MS = 5_000;

/** A socket that stays silent this long is dead even when the browser has not noticed. */
export const DEAD_AFTER_MS = 15_000;

/**
 * Full jitter above a floor: a restarted aggregator must not be met by all its dashboards at once, and
 * the floor keeps a lucky draw from hammering it. `random` is in [0, 1).
 */
export function retryDelayMs(attempt: number, random: number): number {
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10));
  return Math.round(FIRST_DELAY_MS / 2 + random * (ceiling - FIRST_DELAY_MS / 2));
}

export type Remedy = 'sign-in' | 'forbidden' | 'retry';

/** What a failed request means for the connection; 0 stands for "no answer at all". */
export function remedyFor(status: number): Remedy {
  if (status === 401) return 'sign-in';
  if (status === 403) return 'forbidden';
  return 'retry';
}

export type Freshness = 'waiting' | 'fresh' | 'stale';

export function freshness(lastHeardMs: number | null, nowMs: number): Freshness {
  if (lastHeardMs === null) return 'waiting';
  return nowMs - lastHeardMs >= STALE_AFTER_MS ? 'stale' : 'fresh';
}
