/** How long things are kept: periods as people write them, and what a change would delete. */

import type { Retention } from '../api/system';
import { plural } from './format';
import type { FieldError } from './problem';
import { LONG, spanOf } from './span';

const HOUR = 3_600;
const DAY = 24 * HOUR;

export const KINDS = [
  {
    field: 'samples_s',
    label: 'Single windows',
    of: '10 to 60 seconds each, as agents closed them',
    least: HOUR,
  },
  { field: 'minutes_s', label: 'Sums of a minute', of: 'charts of hours and days', least: DAY },
  {
    field: 'hours_s',
    label: 'Sums of an hour',
    of: 'charts of weeks, reports of up to three days',
    least: DAY,
  },
  { field: 'days_s', label: 'Sums of a day', of: 'charts of months, longer reports', least: DAY },
  {
    field: 'events_s',
    label: 'Changes of state',
    of: 'when a pair became slow, lossy or down',
    least: DAY,
  },
] as const;

export type KindField = (typeof KINDS)[number]['field'];
export type Periods = Record<KindField, number>;

const LONGEST = 100 * 365 * DAY;

/** "7 days", "2 years": a year is 365 days, as the aggregator counts. */
export function sayPeriod(seconds: number): string {
  const { value, unit } = spanOf(seconds, LONG);
  const count = value ?? 0;
  if (unit === 'd' && count >= 365 && count % 365 === 0) return plural(count / 365, 'year');
  const { label } = LONG.find((known) => known.unit === unit) ?? LONG[0];
  return plural(count, label.slice(0, -1));
}

/** The aggregator's own rules, beside the field that breaks them; it has the last word. */
export function retentionFaults(periods: Periods): FieldError[] {
  const faults: FieldError[] = [];
  for (const { field, least } of KINDS) {
    const value = periods[field];
    const fault = (detail: string) => faults.push({ field, detail });
    if (!Number.isInteger(value) || value < least) fault(`At least ${sayPeriod(least)}.`);
    else if (value > LONGEST) fault(`At most ${sayPeriod(LONGEST)}.`);
  }
  const ladder = KINDS.slice(0, 4);
  for (const [at, { field }] of ladder.entries()) {
    const finer = ladder[at - 1];
    if (finer && periods[field] < periods[finer.field])
      faults.push({ field, detail: `At least as long as “${finer.label}”, which are finer.` });
  }
  return faults;
}

/** Which kinds would lose something: what is too old by then cannot be had back. */
export function shortened(before: Retention, after: Periods): string[] {
  return KINDS.filter(({ field }) => after[field] < before[field]).map(({ label }) => label);
}
