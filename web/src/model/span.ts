/** A length of time as a form has it: a number and its unit. */

const ALL = [
  { unit: 's', label: 'seconds', seconds: 1 },
  { unit: 'min', label: 'minutes', seconds: 60 },
  { unit: 'h', label: 'hours', seconds: 3_600 },
  { unit: 'd', label: 'days', seconds: 86_400 },
] as const;
export type Unit = (typeof ALL)[number]['unit'];
export type Units = readonly { unit: Unit; label: string; seconds: number }[];

/** For what is over within a day. */
export const SHORT: Units = ALL.slice(0, 3);
/** For what is kept. */
export const LONG: Units = ALL.filter(({ unit }) => unit !== 'min');

export interface SpanDraft {
  /** What an empty field holds is `null`. */
  value: number | null;
  unit: Unit;
}

const WRITTEN = /^(\d+) ?(us|ms|s|m|h|d)$/;
const WORDS: Readonly<Record<string, string>> = { us: 'µs', m: 'min' };

/** "10s", as a configuration has it, in the words of all other pages: "10 s", which no line breaks. */
export function saySpan(text: string): string {
  const [, number, unit] = WRITTEN.exec(text.trim()) ?? [];
  return number === undefined ? text : `${number}\u00a0${WORDS[unit] ?? unit}`;
}

/** In the largest unit that needs no fraction. */
export function spanOf(seconds: number, units: Units = SHORT): SpanDraft {
  const fits = [...units].reverse().find((known) => seconds > 0 && seconds % known.seconds === 0);
  return { value: seconds / (fits?.seconds ?? 1), unit: fits?.unit ?? 's' };
}

/** Whole seconds; `null` for what is no length of time. */
export function secondsOf({ value, unit }: SpanDraft): number | null {
  const size = ALL.find((known) => known.unit === unit)?.seconds ?? 1;
  if (value === null || !Number.isFinite(value) || value < 0) return null;
  return Math.round(value * size);
}
