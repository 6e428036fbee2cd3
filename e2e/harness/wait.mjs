// The one way to wait in these tests: for a condition, up to a deadline, and with a message that says what did not come true.
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Calls `attempt` until it returns something other than undefined and false, and returns that.
 * An attempt that throws counts as "not yet"; its message is part of the complaint when time runs out.
 */
export async function until(what, timeoutMs, attempt, everyMs = 200) {
  const began = performance.now();
  let last = '';
  for (;;) {
    try {
      const value = await attempt();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      if (error.final) throw error;
      last = `; the last attempt said: ${error.message}`;
    }
    if (performance.now() - began > timeoutMs) throw new Error(`not within ${timeoutMs / 1000} s: ${what}${last}`);
    await pause(everyMs);
  }
}

/** An error that ends `until` at once: what is waited for cannot come true any more. */
export function finalError(message) {
  return Object.assign(new Error(message), { final: true });
}

/** Watches that something stays true for a while; `check` throws when it does not. For "and only those". */
export async function holdsFor(durationMs, check, everyMs = 500) {
  const began = performance.now();
  while (performance.now() - began < durationMs) {
    await check();
    await pause(everyMs);
  }
  await check();
}

export function secondsSince(began) {
  return ((performance.now() - began) / 1000).toFixed(1);
}
