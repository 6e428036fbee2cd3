/** Which pairs the configuration in force leaves out. The aggregator's matrix has them as unknown: it asks agents, not the plan. */

import type { MeshConfig } from '../api/config';
import { isEndpoint } from './kind';
import { NOTHING_EXCLUDED, type Excluded } from './left-out';
import type { AgentLabel } from './order';

export type Exclusions = MeshConfig['exclude'];
export type KeyedAgent = AgentLabel & { id: string };

/** As `docs/reference/mesh-config.md` has it; a selector that this build does not know matches nobody. */
export function matches(selector: string, { id, name, site, tags }: KeyedAgent): boolean {
  if (selector === 'all') return true;
  const colon = selector.indexOf(':');
  const wanted = selector.slice(colon + 1);
  switch (selector.slice(0, Math.max(colon, 0))) {
    case 'site':
      return site === wanted;
    case 'tag':
      return tags?.includes(wanted) ?? false;
    case 'agent':
      return name === wanted || id === wanted.toLowerCase();
    default:
      return false;
  }
}

export function excludedBy(exclude: Exclusions, agents: readonly KeyedAgent[]): Excluded {
  if (exclude.length === 0) return NOTHING_EXCLUDED;
  const n = agents.length;
  const members = agents.filter((agent) => !isEndpoint(agent));
  const chosen = (selector: string) =>
    members.filter((agent) => matches(selector, agent)).map(({ index }) => index);
  const cells = new Uint8Array(n * n);
  const leftOut = new Set<number>();
  for (const { between } of exclude) {
    const [one = [], other = []] = between.map(chosen);
    for (const a of one) for (const b of other) cells[a * n + b] = cells[b * n + a] = 1;
    if (between[0] === 'all') for (const index of other) leftOut.add(index);
    if (between[1] === 'all') for (const index of one) leftOut.add(index);
  }
  // Endpoints are left out by nothing, but who is left out observes them only for as long as it still runs.
  for (const { index } of agents.filter(isEndpoint))
    for (const agent of leftOut) cells[agent * n + index] = 1;
  return { hasCell: (at) => cells[at] === 1, leftOut };
}
