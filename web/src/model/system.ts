/** What the aggregator says of itself, and what the page can tell of it. */

import type { SystemStatus } from '../api/system';
import { formatDuration } from './time';

/** A browser's clock and the way of a frame are no better than this. */
const SAME_MS = 1_500;

/** The difference of the two clocks; which of them is wrong the page cannot know. */
export function sayClock(offsetMs: number): string {
  const seconds = Math.round(Math.abs(offsetMs) / 1_000);
  if (Math.abs(offsetMs) < SAME_MS) return 'agrees with this browser’s';
  const far = seconds < 120 ? `${seconds}\u00a0s` : `${Math.round(seconds / 60)}\u00a0min`;
  return `${far} ${offsetMs > 0 ? 'ahead of' : 'behind'} this browser’s`;
}

export interface VersionCount {
  version: string;
  count: number;
}

/** How many agents run which version, the most frequent first. Empty text is an agent that has not said hello. */
export function versionsOf(agents: readonly { version: string }[]): VersionCount[] {
  const counts = new Map<string, number>();
  for (const { version } of agents) counts.set(version, (counts.get(version) ?? 0) + 1);
  return [...counts]
    .map(([version, count]) => ({ version, count }))
    .sort((a, b) => b.count - a.count || a.version.localeCompare(b.version));
}

/** As long as nobody does the jobs, or sums wait, before that is worth a word. */
export const UNLED_S_MAX = 60;
export const UNSUMMED_S_MAX = 300;

export interface Warning {
  key: string;
  title: string;
  text: string;
}

/** What somebody should do something about, the worst first. */
export function warningsOf(status: SystemStatus): Warning[] {
  const { database, ingest, clock, replicas, agents } = status;
  const warnings: Warning[] = [];
  const warn = (key: string, title: string, text: string) => warnings.push({ key, title, text });
  if (!database.reachable)
    warn('database', 'The database does not answer', database.problem ?? 'Its log says why.');
  if (!replicas.some((replica) => replica.is_leader) && status.unled_s >= UNLED_S_MAX)
    warn(
      'leader',
      'Nobody does the jobs',
      `For ${formatDuration(status.unled_s)} nothing was summed up, judged or deleted. A replica takes over by itself within seconds; their logs say what keeps them from it.`,
    );
  if (ingest.unsummed_s >= UNSUMMED_S_MAX)
    warn(
      'unsummed',
      'Sums are behind',
      `The oldest results that are in no sum yet are ${formatDuration(ingest.unsummed_s)} old. History and reports miss them until then.`,
    );
  if (clock.doubted)
    warn(
      'clock',
      'Nothing old is deleted',
      `${clock.why ?? 'The clock of the aggregator is in doubt.'} If it is right, confirm how long things are kept, below.`,
    );
  if (status.draining)
    warn(
      'draining',
      'This aggregator ends',
      'It finishes what is under way and takes nothing new.',
    );
  if (agents.total > 0 && agents.fresh === 0)
    warn(
      'agents',
      'No agent is heard from',
      'Either the way from them to here is cut, or none of them runs.',
    );
  return warnings;
}

const RUNGS: Record<string, string> = {
  sqlite: 'SQLite',
  postgres: 'PostgreSQL',
  'timescaledb-apache': 'TimescaleDB, Apache edition',
  'timescaledb-community': 'TimescaleDB, community edition',
};

/** A rung that this build does not know is shown as it is told. */
export function sayRung(rung: string): string {
  return RUNGS[rung] ?? rung;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const at = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1_024 ** at;
  return `${at > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

export function sayUpdate({ version, update }: SystemStatus): string {
  if (update === null) return 'not looked for';
  if (update.problem !== null) return `not known: ${update.problem}`;
  if (update.available && update.newest !== null) return `${update.newest} is there`;
  return update.checked_at === null ? 'not looked for yet' : `none newer than ${version}`;
}
