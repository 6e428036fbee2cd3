/** A period as a reader picks it, in the address and in a question. Days and months are those of UTC, as the sums are. */

export const PERIODS = ['24h', '7d', '30d', 'this-month', 'last-month', 'custom'] as const;
export type Period = (typeof PERIODS)[number];

export const PERIOD_LABELS: Record<Period, string> = {
  '24h': '24 hours',
  '7d': '7 days',
  '30d': '30 days',
  'this-month': 'This month',
  'last-month': 'Last month',
  custom: 'Custom',
};

export interface Wanted {
  period: Period;
  /** First and last day, both included, as in "2026-11-23"; only of a custom period. */
  from: string;
  to: string;
}

/** What the API calls them: `range` for what ends now, `from` and `to` for the rest. */
export interface Bounds {
  range?: string;
  from?: string;
  to?: string;
}

const DAY_MS = 86_400_000;
const DAY_TEXT = /^\d{4}-\d{2}-\d{2}$/;

export function parsePeriod(params: URLSearchParams, usual: Period): Wanted {
  const period = PERIODS.find((known) => known === params.get('period')) ?? usual;
  const day = (name: string) => (DAY_TEXT.test(params.get(name) ?? '') ? params.get(name)! : '');
  return { period, from: day('from'), to: day('to') };
}

export function periodParams(wanted: Wanted): Record<string, string | null> {
  const isCustom = wanted.period === 'custom';
  return {
    period: wanted.period,
    from: isCustom ? wanted.from : null,
    to: isCustom ? wanted.to : null,
  };
}

/** Why the question cannot be asked; empty when it can. */
export function periodFault({ period, from, to }: Wanted, daysMax = Infinity): string {
  if (period !== 'custom') return '';
  const [first, last] = [Date.parse(from), Date.parse(to)];
  if (Number.isNaN(first) || Number.isNaN(last)) return 'Pick the first and the last day.';
  if (last < first) return 'The last day is before the first.';
  const days = (last - first) / DAY_MS + 1;
  return days > daysMax ? `That is ${days} days; ${daysMax} are the most.` : '';
}

export function boundsOf({ period, from, to }: Wanted, now: number): Bounds {
  switch (period) {
    case '24h':
    case '7d':
    case '30d':
      return { range: period };
    case 'this-month':
      return { from: monthStart(now, 0) };
    case 'last-month':
      return { from: monthStart(now, -1), to: monthStart(now, 0) };
    case 'custom':
      return { from: dayStart(Date.parse(from)), to: dayStart(Date.parse(to) + DAY_MS) };
  }
}

/** For the two fields, when a reader begins to pick days: what was shown until then. */
export function customFrom(wanted: Wanted, now: number): Wanted {
  const { range, from, to } = boundsOf(wanted, now);
  const days = range === '24h' ? 0 : range ? Number.parseInt(range) - 1 : 0;
  const first = from ? Date.parse(from) : now - days * DAY_MS;
  const last = to ? Date.parse(to) - DAY_MS : now;
  return { period: 'custom', from: dayText(first), to: dayText(last) };
}

export function dayText(millis: number): string {
  return new Date(millis).toISOString().slice(0, 10);
}

/** The API takes whole seconds, and a shorter text is easier to read in a link. */
function dayStart(millis: number): string {
  return `${dayText(millis)}T00:00:00Z`;
}

function monthStart(now: number, months: number): string {
  const moment = new Date(now);
  return dayStart(Date.UTC(moment.getUTCFullYear(), moment.getUTCMonth() + months, 1));
}
