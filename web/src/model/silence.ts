/** Agents that the aggregator has not heard from. What they measured last is history, not the present. */

/** Agents send results every few seconds and are told to; a minute without any is no hiccup. */
export const SILENT_AFTER_MS = 60_000;

export interface Seen {
  last_seen_at: string | null;
}

/** For how long nothing was heard, or `null` when that is unknown because nothing ever was. */
export function silenceMs(agent: Seen, now: number): number | null {
  const seen = agent.last_seen_at === null ? NaN : Date.parse(agent.last_seen_at);
  return Number.isNaN(seen) ? null : Math.max(0, now - seen);
}

export function isSilent(agent: Seen, now: number): boolean {
  const silence = silenceMs(agent, now);
  return silence === null || silence >= SILENT_AFTER_MS;
}
