/** A report on availability: its question in the address, and its numbers in words that never round up. */

import type { Times } from '../api/reports';
import { NOT_KNOWN } from './format';
import { boundsOf, parsePeriod, type Bounds, type Period, type Wanted } from './period';

export const USUAL_PERIOD: Period = '30d';
/** What the aggregator takes at most. */
export const REPORT_DAYS_MAX = 400;
/** As many lines as are read; a file has all of them. */
export const PAIRS_SHOWN = [25, 100, 500] as const;
const PAIRS_IN_FILE = 100_000;

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

export function questionOf(view: ReportView, now: number): ReportQuestion {
  const question: ReportQuestion = { ...boundsOf(view.wanted, now), pairs: view.pairs };
  if (view.site !== '') question.site = view.site;
  if (view.agent !== '') question.agent = view.agent;
  return question;
}

/** The same question, answered as a file with every pair. */
export function csvPath(view: ReportView, now: number): string {
  const question = { ...questionOf(view, now), pairs: PAIRS_IN_FILE, format: 'csv' };
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(question)) params.set(name, `${value}`);
  return `/api/v1/reports/availability?${params}`;
}

/** Cut, not rounded: only what was never down reads 100 %. */
export function formatShare(percent: number | null, digits = 3): string {
  if (percent === null) return NOT_KNOWN;
  if (percent === 100) return '100 %';
  if (percent === 0) return '0 %';
  const text = percent.toFixed(4);
  return `${text.slice(0, text.length - 4 + digits).replace(/\.$/, '')} %`;
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
  if (share === 0) return '0 %';
  if (share === 1) return '100 %';
  const percent = share * 100;
  if (percent < 0.01) return 'less than 0.01 %';
  if (percent > 99.99) return 'more than 99.99 %';
  return `${percent < 1 || percent > 99 ? percent.toFixed(2) : percent.toFixed(1)} %`;
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
