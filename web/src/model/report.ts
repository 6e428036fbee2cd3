/** A report on availability: its question in the address, and its numbers in words that never round up. */

import type { Report, Times } from '../api/reports';
import { NOT_KNOWN } from './format';
import { boundsOf, parsePeriod, type Bounds, type Period, type Wanted } from './period';

export const USUAL_PERIOD: Period = '30d';
const YOUNG_FOR: readonly (readonly [Period, number])[] = [
  ['24h', 86_400_000],
  ['7d', 7 * 86_400_000],
];
/** What the aggregator takes at most. */
export const REPORT_DAYS_MAX = 400;
/** As many lines as are read; a file has all of them. */
export const PAIRS_SHOWN = [25, 100, 500] as const;
const PAIRS_IN_FILE = 100_000;
const INCIDENTS_IN_FILE = 10_000;

export interface ReportView {
  wanted: Wanted;
  pairs: number;
  site: string;
  agent: string;
}

export interface ReportQuestion extends Bounds {
  pairs?: number;
  site?: string;
  agent?: string;
}

export function parseReport(params: URLSearchParams): ReportView {
  const pairs = PAIRS_SHOWN.find((count) => `${count}` === params.get('pairs')) ?? PAIRS_SHOWN[0];
  return {
    wanted: parsePeriod(params, USUAL_PERIOD),
    pairs,
    site: params.get('site') ?? '',
    agent: params.get('agent') ?? '',
  };
}

/** The shortest period that holds all there is of a young mesh: of a longer one most would be unknown. */
export function periodFor(agents: readonly { joined_at: string }[], now: number): Period {
  const first = agents.reduce((least, one) => Math.min(least, Date.parse(one.joined_at)), Infinity);
  const fits = YOUNG_FOR.find(([, millis]) => now - first <= millis);
  return Number.isFinite(first) && fits ? fits[0] : USUAL_PERIOD;
}

/** What a reader must know of a period that is longer than the mesh is old; '' where it is not. */
export function sayDataFrom({ from, to, data_from }: Pick<Report, 'from' | 'to' | 'data_from'>) {
  const first = Date.parse(data_from ?? '');
  if (!(first > Date.parse(from) && first < Date.parse(to))) return '';
  return `There is data since ${formatUtc(data_from ?? '')} UTC; before that nothing was measured.`;
}

export function questionOf(view: ReportView, now: number): ReportQuestion {
  const question: ReportQuestion = { ...boundsOf(view.wanted, now), pairs: view.pairs };
  if (view.site !== '') question.site = view.site;
  if (view.agent !== '') question.agent = view.agent;
  return question;
}

/** The same question, answered as a file with every pair, or with every incident. */
export function csvPath(
  view: ReportView,
  now: number,
  part: 'availability' | 'incidents' = 'availability',
): string {
  const rows =
    part === 'incidents' ? { part, incidents: INCIDENTS_IN_FILE } : { pairs: PAIRS_IN_FILE };
  const question = { ...questionOf(view, now), ...rows, format: 'csv' };
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(question)) params.set(name, `${value}`);
  // How many pairs a page shows is no question to a file of incidents.
  if (part === 'incidents') params.delete('pairs');
  return `/api/v1/reports/availability?${params}`;
}

/** Cut, not rounded: only what was never down reads 100 %. */
export function formatShare(percent: number | null, digits = 3): string {
  if (percent === null) return NOT_KNOWN;
  if (percent === 100) return '100\u00a0%';
  if (percent === 0) return '0\u00a0%';
  const text = percent.toFixed(4);
  return `${text.slice(0, text.length - 4 + digits).replace(/\.$/, '')}\u00a0%`;
}

export type Part = 'up' | 'down' | 'unknown';

export interface Slice {
  part: Part;
  seconds: number;
  /** Of the whole, from 0 to 1. */
  share: number;
}

export function slicesOf(times: Times): Slice[] {
  const all = times.up_s + times.down_s + times.unknown_s;
  const slice = (part: Part, seconds: number): Slice => ({
    part,
    seconds,
    share: all > 0 ? seconds / all : 0,
  });
  return [slice('up', times.up_s), slice('down', times.down_s), slice('unknown', times.unknown_s)];
}

/** A share in the least digits that do not say "none" of something, nor "all" of less. */
export function sayShare(share: number): string {
  if (share === 0) return '0\u00a0%';
  if (share === 1) return '100\u00a0%';
  const percent = share * 100;
  if (percent < 0.01) return 'less than 0.01\u00a0%';
  if (percent > 99.99) return 'more than 99.99\u00a0%';
  return `${percent < 1 || percent > 99 ? percent.toFixed(2) : percent.toFixed(1)}\u00a0%`;
}

const UTC = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  timeZone: 'UTC',
});

/** Reports are of hours and days of UTC; another zone would show them as odd. */
export function formatUtc(text: string): string {
  const moment = Date.parse(text);
  return Number.isNaN(moment) ? NOT_KNOWN : UTC.format(moment);
}
