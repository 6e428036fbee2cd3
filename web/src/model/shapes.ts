/** What many pairs in trouble have in common, in words: shown beside the matrix, and with more on the overview. */

import type { PairState } from './cell';
import { groupPairs, type AgentGroup, type SiteGroup } from './groups';
import { agentHealth, badOf, knownOf, sayBad, totalOf, worstOf, type AgentHealth } from './health';
import type { LiveMatrix } from './live';
import type { AgentLabel } from './order';
import { findPatterns, worstPairs } from './worst';

export interface Shape {
  state: PairState;
  text: string;
  evidence: string;
  /** The filter text that shows its pairs. */
  filter: string;
}

export function shapeOfSites({ source, target, isBothWays, health }: SiteGroup): Shape {
  const isInside = source === target;
  const between = isInside
    ? `inside ${source}`
    : isBothWays
      ? `between ${source} and ${target}`
      : `from ${source} to ${target}`;
  const share = badOf(health) === knownOf(health) ? 'All' : 'Most';
  const word = health.down === knownOf(health) ? 'down' : 'in trouble';
  return {
    state: worstOf(health) ?? 'unknown',
    text: `${share} pairs ${between} are ${word}`,
    evidence: `${sayBad(health)} of ${totalOf(health)}`,
    filter: `${source} ${isBothWays ? '<>' : '>'} ${target}`,
  };
}

export function shapeOfAgent(
  { agent, direction }: AgentGroup,
  agents: AgentLabel[],
  all: AgentHealth[],
): Shape {
  const { name } = agents[agent];
  const { from, to } = all[agent];
  const text = {
    from: `Most pairs from ${name} are in trouble`,
    to: `Most pairs to ${name} are in trouble`,
    both: `Most pairs of ${name} are in trouble`,
  }[direction];
  const evidence = {
    from: `${sayBad(from)} of ${totalOf(from)}`,
    to: `${sayBad(to)} of ${totalOf(to)}`,
    both: `${badOf(from)} of ${totalOf(from)} from it, ${badOf(to)} of ${totalOf(to)} to it`,
  }[direction];
  const filter = { from: `${name} >`, to: `> ${name}`, both: name }[direction];
  return { state: worstOf(direction === 'from' ? from : to) ?? 'unknown', text, evidence, filter };
}

/** All of it, what explains most pairs first; and the cell numbers of the pairs that nothing explains, the worst first. */
export function findShapes(
  matrix: LiveMatrix,
  agents: AgentLabel[],
): { shapes: Shape[]; rest: number[] } {
  const health = agentHealth(matrix);
  const groups = groupPairs(matrix, agents, health, worstPairs(matrix, Infinity));
  const patterns = findPatterns(matrix, agents);
  const cut = new Set(patterns.map(({ agent }) => agent));
  return {
    shapes: [
      ...groups.sites.map(shapeOfSites),
      ...patterns.map(({ text, evidence, filter }): Shape => {
        return { state: 'down', text, evidence, filter };
      }),
      ...groups.agents
        .filter(({ agent }) => !cut.has(agent))
        .map((group) => shapeOfAgent(group, agents, health)),
    ],
    rest: groups.rest,
  };
}
