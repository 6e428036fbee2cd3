/** An incident that was over and came back, in words. One that never came back has none. */

import { formatDuration } from './time';

export interface Returned {
  first_opened_at: string;
  opened_at: string;
  /** How often it was there. */
  outages: number;
  duration_s: number;
}

/** "first 5 Mar 2026, 12:03", "back 12:31", "there 3 times", "14 min in all"; `say` is how a moment is written. */
export function sayReturned(one: Returned, say: (moment: string) => string): string[] {
  if (one.outages < 2) return [];
  const first = say(one.first_opened_at);
  return [`first ${first}`, `back ${later(say(one.opened_at), first)}`, ...sayTimes(one)];
}

/** Where it only matters how bad it is. */
export function sayTimes({ outages, duration_s }: Omit<Returned, 'first_opened_at' | 'opened_at'>) {
  return outages < 2 ? [] : [`there ${outages} times`, sayInAll(duration_s)];
}

/** What lies between the times that it was there is not in it. Seconds are of no use beside minutes. */
export function sayInAll(seconds: number): string {
  return `${formatDuration(seconds < 60 ? seconds : seconds - (seconds % 60))} in all`;
}

/** Without the day, where that is said just before. */
function later(moment: string, before: string): string {
  const [day, clock] = moment.split(', ');
  return clock !== undefined && before.startsWith(`${day}, `) ? clock : moment;
}
