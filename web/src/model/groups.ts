/**
 * Pairs in trouble that share an end, or lead from one site to another, told together: a host with a sick
 * uplink is one line and not sixty. This only describes the picture; the cause is for the verdict to decide.
 */

import {
  badOf,
  knownOf,
  siteMatrix,
  sumOf,
  type AgentHealth,
  type Health,
  type SiteMatrix,
} from './health';
import type { LiveMatrix } from './live';
import type { AgentLabel } from './order';

export interface AgentGroup {
  agent: number;
  /** "both" when most pairs from it and most pairs to it are in trouble. */
  direction: 'from' | 'to' | 'both';
}

export interface SiteGroup {
  source: string;
  target: string;
  /** The way back is in trouble, too, and counted with it. */
  isBothWays: boolean;
  health: Health;
}

export interface Groups {
  agents: AgentGroup[];
  sites: SiteGroup[];
  /** Cell numbers that no group explains, in the order given. */
  rest: number[];
}

/** Fewer pairs than this are no group: they may be chance, and are listed each. */
const AGENT_PAIRS_MIN = 3;
const SITE_PAIRS_MIN = 4;
/** Each round is a pass over the agents, and nobody reads more groups than this. */
const ROUNDS_MAX = 12;

export function groupPairs(
  matrix: LiveMatrix,
  agents: AgentLabel[],
  health: AgentHealth[],
  bad: number[],
): Groups {
  const left = new Set(bad);
  if (left.size < AGENT_PAIRS_MIN) return { agents: [], sites: [], rest: bad };
  const bySite = siteMatrix(matrix, agents);
  // Where two sites do not reach each other at all, the agents of the smaller one are not to blame.
  const cut = claimSites(matrix, agents, bySite, left, isCut);
  const byAgent = claimAgents(matrix, health, left);
  const most = claimSites(matrix, agents, bySite, left, isMost);
  const sites = foldBothWays([...cut, ...most]);
  return { agents: byAgent, sites, rest: bad.filter((at) => left.has(at)) };
}

/** The end that explains most goes first, so that those it touches are not accused of the same pairs. */
function claimAgents(matrix: LiveMatrix, health: AgentHealth[], left: Set<number>): AgentGroup[] {
  const { n } = matrix;
  const known = health.flatMap(({ from, to }) => [knownOf(from), knownOf(to)]);
  const found = new Map<number, AgentGroup>();
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const counts = new Uint32Array(2 * n);
    for (const at of left) {
      counts[2 * Math.floor(at / n)] += 1;
      counts[2 * (at % n) + 1] += 1;
    }
    let best = -1;
    for (let end = 0; end < counts.length; end += 1) {
      const isMost = counts[end] >= AGENT_PAIRS_MIN && 2 * counts[end] > known[end];
      if (isMost && (best < 0 || counts[end] > counts[best])) best = end;
    }
    if (best < 0) break;
    const agent = best >> 1;
    const isFrom = best % 2 === 0;
    for (const at of left) if ((isFrom ? Math.floor(at / n) : at % n) === agent) left.delete(at);
    const direction = found.has(agent) ? 'both' : isFrom ? 'from' : 'to';
    found.set(agent, { agent, direction });
  }
  return [...found.values()];
}

type Claim = (group: number[], health: Health, n: number) => boolean;

/** Every known pair; of one agent alone it would be that agent's trouble. */
const isCut: Claim = (group, health, n) =>
  badOf(health) === knownOf(health) &&
  new Set(group.map((at) => Math.floor(at / n))).size > 1 &&
  new Set(group.map((at) => at % n)).size > 1;

const isMost: Claim = (group, health) => 2 * group.length > knownOf(health);

function claimSites(
  matrix: LiveMatrix,
  agents: AgentLabel[],
  { sites, cells }: SiteMatrix,
  left: Set<number>,
  claims: Claim,
): SiteGroup[] {
  const numbers = new Map(sites.map((site, at) => [site, at]));
  const siteOf = (agent: number) => numbers.get(agents[agent].site) ?? 0;
  const members = new Map<number, number[]>();
  for (const at of left) {
    const pair = siteOf(Math.floor(at / matrix.n)) * sites.length + siteOf(at % matrix.n);
    const group = members.get(pair);
    if (group) group.push(at);
    else members.set(pair, [at]);
  }
  const groups: SiteGroup[] = [];
  for (const [pair, group] of members) {
    const health = cells[pair];
    if (group.length < SITE_PAIRS_MIN || !claims(group, health, matrix.n)) continue;
    for (const at of group) left.delete(at);
    const source = sites[Math.floor(pair / sites.length)];
    groups.push({ source, target: sites[pair % sites.length], isBothWays: false, health });
  }
  return groups;
}

/** There and back is one line. The largest goes first. */
function foldBothWays(groups: SiteGroup[]): SiteGroup[] {
  const folded: SiteGroup[] = [];
  for (const group of groups) {
    const { source, target, health } = group;
    const at = folded.findIndex((one) => one.source === target && one.target === source);
    if (at < 0) folded.push(group);
    else folded[at] = { ...folded[at], isBothWays: true, health: sumOf(folded[at].health, health) };
  }
  return folded.sort((a, b) => badOf(b.health) - badOf(a.health));
}
