/** Reports by mail: when they go out and of what they are, in words. */

import type { Schedule, ScheduleBody } from '../api/schedules';
import type { FieldError } from './problem';
import { formatMoment } from './time';

export const EVERY = [
  { value: 'day', label: 'Each day', of: 'of the day before' },
  { value: 'week', label: 'Each Monday', of: 'of the week before' },
  { value: 'month', label: 'Each first of a month', of: 'of the month before' },
] as const;

export const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

/** It goes out a little after the hour, when the last results of the period are there. */
const MINUTES_PAST = '05';

export function sayWhen({ every, hour_utc }: Pick<ScheduleBody, 'every' | 'hour_utc'>): string {
  const { label } = EVERY.find(({ value }) => value === every) ?? EVERY[0];
  return `${label} at ${formatHour(hour_utc)} UTC, ${sayPeriod(every)}`;
}

export function sayPeriod(every: ScheduleBody['every']): string {
  return (EVERY.find(({ value }) => value === every) ?? EVERY[0]).of;
}

export function formatHour(hour: number): string {
  return `${hour.toString().padStart(2, '0')}:${MINUTES_PAST}`;
}

export function sayNext({ enabled, next_at, channel_name }: Schedule): string {
  if (!enabled || next_at === null) return 'not sent';
  return channel_name === null ? 'nowhere to send it' : formatMoment(next_at);
}

const STATE_WORDS: Readonly<Record<string, string>> = { given_up: 'given up' };

export function sayLast({ last }: Schedule): string {
  if (last === null) return 'none yet';
  return `${STATE_WORDS[last.state] ?? last.state}, ${formatMoment(last.decided_at)}`;
}

export function scheduleFaults(body: ScheduleBody): FieldError[] {
  const faults: FieldError[] = [];
  if (body.name.trim() === '') faults.push({ field: 'name', detail: 'Give it a name.' });
  if (!body.channel) faults.push({ field: 'channel', detail: 'Choose where it goes.' });
  return faults;
}
