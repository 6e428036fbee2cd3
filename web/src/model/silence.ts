/** Agents that the aggregator has not heard from. What they measured last is history, not the present. */

import { plural } from './format';
import { isEndpoint, type Kind } from './kind';

/** Agents send results every few seconds and are told to; a minute without any is no hiccup. */
export const SILENT_AFTER_MS = 60_000;

/** It redeemed its token, and that was all: joining and running are two commands. */
export const NEVER_REPORTED = 'joined, never reported: is `mesh-agent run` started?';

export interface Seen extends Kind {
  last_seen_at: string | null;
}

/** For how long nothing was heard, or `null` when that is unknown because nothing ever was. */
export function silenceMs(agent: Seen, now: number): number | null {
  const seen = agent.last_seen_at === null ? NaN : Date.parse(agent.last_seen_at);
  return Number.isNaN(seen) ? null : Math.max(0, now - seen);
}

/** Nothing is heard of it, whether or not anybody minds. An endpoint never says anything. */
export function isQuiet(agent: Seen, now: number): boolean {
  if (isEndpoint(agent)) return false;
  const silence = silenceMs(agent, now);
  return silence === null || silence >= SILENT_AFTER_MS;
}

/** Quiet, and it should not be: who is left out may be. */
export function isSilent(agent: Seen, now: number): boolean {
  return !agent.isLeftOut && isQuiet(agent, now);
}

export function saySilent(count: number): string {
  return `${plural(count, 'agent')} ${count === 1 ? 'is' : 'are'} silent`;
}
