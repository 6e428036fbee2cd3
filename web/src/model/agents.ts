/** The table of agents: its columns, its order, and what a filter keeps. */

import { burdenOf, type AgentHealth } from './health';
import type { Kind } from './kind';
import { compareNames } from './order';
import type { Order } from './table';

/** "worst" is an order without a column of its own: silence, and what is wrong at both ends. */
export const AGENT_COLUMNS = ['worst', 'name', 'site', 'from', 'to', 'seen', 'version'] as const;
export type AgentColumn = (typeof AGENT_COLUMNS)[number];

/** Those who need a look come first. */
export const AGENT_ORDER: Order<AgentColumn> = { column: 'worst', descending: true };

export interface AgentRow extends Kind {
  name: string;
  site: string;
  tags: readonly string[];
  version: string;
  last_seen_at: string | null;
  health: AgentHealth;
  isSilent: boolean;
}

export function selectAgents<Row extends AgentRow>(
  rows: readonly Row[],
  text: string,
  tag: string,
  order: Order<AgentColumn>,
): Row[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = rows.filter((row) => {
    if (tag !== '' && !row.tags.includes(tag)) return false;
    const tags = row.tags.join(' ');
    const haystack = `${row.name} ${row.site} ${tags} ${row.version}`.toLowerCase();
    return words.every((word) => haystack.includes(word));
  });
  const sign = order.descending ? -1 : 1;
  return kept.sort((a, b) => sign * compare(a, b, order.column) || compareNames(a.name, b.name));
}

function compare(a: AgentRow, b: AgentRow, column: AgentColumn): number {
  switch (column) {
    case 'worst':
      return (
        Number(a.isSilent) - Number(b.isSilent) ||
        burdenOf(a.health.from, a.health.to) - burdenOf(b.health.from, b.health.to)
      );
    case 'name':
    case 'site':
    case 'version':
      return compareNames(a[column], b[column]);
    case 'from':
    case 'to':
      return burdenOf(a.health[column]) - burdenOf(b.health[column]);
    case 'seen':
      // Compared, not subtracted: the difference of two infinities is not a number.
      return seenMs(a) < seenMs(b) ? -1 : seenMs(a) > seenMs(b) ? 1 : 0;
  }
}

/** Never heard from is longer ago than anything else. */
function seenMs({ last_seen_at }: AgentRow): number {
  return last_seen_at === null ? -Infinity : Date.parse(last_seen_at);
}

/** Every tag there is, with how many have it. */
export function tagsOf(
  rows: readonly { tags: readonly string[] }[],
): { tag: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { tags } of rows) for (const tag of tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts]
    .map(([tag, count]) => ({ tag, count }))
    .sort((a, b) => compareNames(a.tag, b.tag));
}
