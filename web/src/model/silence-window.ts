/** Silences and maintenance windows: when they hold, in words and as a form has them. */

import type { Silence, SilenceBody } from '../api/alerts';
import type { FieldError } from './problem';
import { draftOf, EVERYWHERE, scopeFault, scopeOf, type ScopeDraft } from './scope';
import { formatDuration, formatMoment } from './time';

export const HOURS = [1, 2, 4, 8, 24, 168] as const;

export function sayHours(hours: number): string {
  return formatDuration(hours * 3_600);
}

export interface SilenceDraft {
  scope: ScopeDraft;
  /** Hours from now; `null` where both ends are given. */
  hours: number | null;
  /** As a field for a local date and time has them. */
  from: string;
  until: string;
  reason: string;
  maintenance: boolean;
}

/** Whoever means everywhere must say so: it silences everything. */
const UNNAMED: ScopeDraft = { ...EVERYWHERE, mode: 'about' };

export function silenceDraft(
  silence: Silence | null,
  agents: readonly { id: string; name: string }[],
  now: number,
  scope: ScopeDraft = UNNAMED,
): SilenceDraft {
  if (silence) {
    const { from, until, reason, maintenance } = silence.silence;
    return {
      scope: draftOf(silence.silence.scope, agents),
      hours: null,
      from: localText(Date.parse(from)),
      until: localText(Date.parse(until)),
      reason,
      maintenance: maintenance ?? false,
    };
  }
  const [from, until] = [localText(now), localText(now + 2 * 3_600_000)];
  return { scope, hours: 2, from, until, reason: '', maintenance: false };
}

export function silenceFaults(draft: SilenceDraft): FieldError[] {
  const faults: FieldError[] = [];
  const fault = scopeFault(draft.scope);
  if (fault !== '') faults.push({ field: 'scope', detail: fault });
  if (draft.hours !== null) return faults;
  for (const field of ['from', 'until'] as const) {
    if (Number.isNaN(Date.parse(draft[field])))
      faults.push({ field, detail: 'Give the day and the time.' });
  }
  return faults;
}

/** `now` is the aggregator's: a reader's wrong clock must not make a silence that is over already. */
export function silenceBody(draft: SilenceDraft, now: number): SilenceBody {
  const { hours, from, until, reason, maintenance } = draft;
  const [first, last] =
    hours === null ? [Date.parse(from), Date.parse(until)] : [now, now + hours * 3_600_000];
  return {
    scope: scopeOf(draft.scope),
    from: instant(first),
    until: instant(last),
    reason: reason.trim(),
    maintenance,
  };
}

/** The same silence, over now. */
export function endedNow(silence: Silence, now: number): SilenceBody {
  const begun = Date.parse(silence.silence.from);
  return { ...silence.silence, until: instant(Math.max(now, begun + 1_000)) };
}

/** When, in the form that helps most: how long it still lasts, or when it begins. */
export function sayWhen({ state, silence }: Silence, now: number): string {
  const [from, until] = [Date.parse(silence.from), Date.parse(silence.until)];
  if (state === 'over') return `until ${formatMoment(silence.until)}`;
  if (state === 'planned')
    return `from ${formatMoment(silence.from)}, for ${formatDuration((until - from) / 1_000)}`;
  const left = Math.max(0, (until - now) / 1_000);
  return `${formatDuration(left)} more, until ${formatMoment(silence.until)}`;
}

const STATE_RANK: Readonly<Record<string, number>> = { active: 0, planned: 1, over: 2 };

/** What holds now, then what comes next, then what was over last. */
export function inOrder(silences: readonly Silence[]): Silence[] {
  const rank = ({ state }: Silence) => STATE_RANK[state] ?? 2;
  const moment = ({ state, silence }: Silence) =>
    state === 'over' ? -Date.parse(silence.until) : Date.parse(silence.from);
  return [...silences].sort((a, b) => rank(a) - rank(b) || moment(a) - moment(b));
}

function instant(millis: number): string {
  return new Date(millis).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** "2026-11-23T20:00" in the reader's zone. */
export function localText(millis: number): string {
  const at = new Date(millis);
  const two = (value: number) => `${value}`.padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}
