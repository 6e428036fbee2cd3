/** Moments and durations for people, in the zone of the reader. */

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const CLOCK_SECONDS = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const FULL = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});
const EXACT = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

const DAY_SECONDS = 86_400;

/** Labels of a time axis: the clock, and the day where it begins or where the axis does. */
export function tickLabels(seconds: readonly number[], distance: number): string[] {
  let lastDay = '';
  return seconds.map((second) => {
    const moment = new Date(second * 1_000);
    const day = DAY.format(moment);
    if (distance >= DAY_SECONDS) return day;
    const isNew = day !== lastDay && lastDay !== '';
    lastDay = day;
    return isNew ? day : CLOCK.format(moment);
  });
}

/** The beginning of a step: seconds only where steps are that fine, the day only where it is not plain. */
export function formatStep(seconds: number, stepSeconds: number): string {
  const moment = new Date(seconds * 1_000);
  const clock = stepSeconds < 60 ? CLOCK_SECONDS.format(moment) : CLOCK.format(moment);
  if (stepSeconds >= DAY_SECONDS) return DAY.format(moment);
  return `${DAY.format(moment)}, ${clock}`;
}

export function formatMoment(text: string): string {
  return momentIn(FULL, text);
}

/** With its seconds: where several things happen within a minute. */
export function formatExact(text: string): string {
  return momentIn(EXACT, text);
}

function momentIn(format: Intl.DateTimeFormat, text: string): string {
  const moment = Date.parse(text);
  return Number.isNaN(moment) ? '–' : format.format(moment);
}

/** "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h": two units are as exact as a reader needs. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  const units: [string, number][] = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ];
  const at = units.findIndex(([, size]) => whole >= size);
  if (at < 0) return '0\u00a0s';
  const [unit, size] = units[at];
  const said = `${Math.floor(whole / size)}\u00a0${unit}`;
  const next = units[at + 1];
  const rest = next ? Math.floor((whole % size) / next[1]) : 0;
  return rest > 0 ? `${said} ${rest}\u00a0${next[0]}` : said;
}

/** Such as "UTC+01:00": a time that is read out to a colleague elsewhere needs it. */
export function zoneName(now = new Date()): string {
  const minutes = -now.getTimezoneOffset();
  if (minutes === 0) return 'UTC';
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const two = (value: number) => value.toString().padStart(2, '0');
  return `UTC${minutes < 0 ? '−' : '+'}${two(hours)}:${two(rest)}`;
}
