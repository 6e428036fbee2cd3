/** What the page can tell of the aggregator by itself. */

/** A browser's clock and the way of a frame are no better than this. */
const SAME_MS = 1_500;

/** The difference of the two clocks; which of them is wrong the page cannot know. */
export function sayClock(offsetMs: number): string {
  const seconds = Math.round(Math.abs(offsetMs) / 1_000);
  if (Math.abs(offsetMs) < SAME_MS) return 'agrees with this browser’s';
  const far = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
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
