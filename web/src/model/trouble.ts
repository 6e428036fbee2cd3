/** The list at the top of the overview: what is wrong now, worst first, each with a place to go on. */

import { stateName, lossPermille, rttMicros, type PairState } from './cell';
import { formatAge, formatLoss, formatRtt, plural, stateWord } from './format';
import { isEndpoint } from './kind';
import { groupPairs } from './groups';
import { agentHealth } from './health';
import type { LiveMatrix } from './live';
import type { AgentLabel } from './order';
import { agentPath, pairPath } from './route';
import { shapeOfAgent, shapeOfSites, type Shape } from './shapes';
import { isSilent, NEVER_REPORTED, saySilent, silenceMs, type Seen } from './silence';
import { findPatterns, worstPairs } from './worst';

export interface Trouble {
  key: string;
  state: PairState;
  title: string;
  detail: string;
  href: string;
}

export type SeenAgent = AgentLabel & Seen;

/** Agents and sites first, because one of them explains many pairs; a pair bad both ways is one line. */
export function findTroubles(
  matrix: LiveMatrix,
  agents: SeenAgent[],
  now: number,
  limit: number,
): Trouble[] {
  const { down, unknown } = agentTroubles(matrix, agents, now);
  const health = agentHealth(matrix);
  const groups = groupPairs(matrix, agents, health, worstPairs(matrix, Infinity));
  // Those that are down as a whole are told already, with all that is known of them.
  const told = new Set(down.map(({ href }) => href));
  const most = groups.agents
    .map((group) => {
      const { name } = agents[group.agent];
      const shape = shapeOfAgent(group, agents, health);
      return troubleOf(`group ${name}`, agentPath(name), shape);
    })
    .filter(({ href }) => !told.has(href));
  const sites = groups.sites.map((group) => {
    const shape = shapeOfSites(group);
    const href = `/matrix?q=${encodeURIComponent(shape.filter)}`;
    return troubleOf(`sites ${shape.filter}`, href, shape);
  });
  // Twice as many cells as lines: two cells can be one line.
  const pairs = pairTroubles(matrix, agents, groups.rest.slice(0, 2 * limit));
  return [...down, ...sites, ...most, ...unknown, ...pairs].slice(0, limit);
}

function troubleOf(key: string, href: string, { state, text, evidence }: Shape): Trouble {
  return { key, href, state, title: text, detail: evidence };
}

function agentTroubles(matrix: LiveMatrix, agents: SeenAgent[], now: number) {
  const patterns = new Map(findPatterns(matrix, agents).map((pattern) => [pattern.agent, pattern]));
  const down: Trouble[] = [];
  const unknown: Trouble[] = [];
  for (const agent of agents) {
    const pattern = patterns.get(agent.index);
    const silence = isSilent(agent, now) ? saySilence(agent, now) : null;
    const common = { key: `agent ${agent.index}`, href: agentPath(agent.name) };
    if (pattern) {
      const detail = silence ? `${pattern.evidence}; ${silence}` : pattern.evidence;
      down.push({ ...common, state: 'down', title: pattern.text, detail });
    } else if (silence) {
      unknown.push({
        ...common,
        state: 'unknown',
        title: `${agent.name} is silent`,
        detail: silence,
      });
    } else if (givesNothing(matrix, agent.index)) {
      const count = plural(matrix.rows.pairs[agent.index], 'pair');
      const detail = `All ${count} from it are unknown, though it is heard from`;
      unknown.push({
        ...common,
        state: 'unknown',
        title: `${agent.name} measures nothing`,
        detail,
      });
    }
  }
  return { down, unknown };
}

function givesNothing({ rows }: LiveMatrix, agent: number): boolean {
  return rows.pairs[agent] > 0 && rows.unknown[agent] === rows.pairs[agent];
}

function saySilence(agent: Seen, now: number): string {
  const silence = silenceMs(agent, now);
  return silence === null
    ? NEVER_REPORTED.replaceAll('`', '')
    : `not heard from for ${formatAge(silence)}`;
}

function pairTroubles(matrix: LiveMatrix, agents: SeenAgent[], worst: number[]): Trouble[] {
  const listed = new Set(worst);
  const told = new Set<number>();
  const troubles: Trouble[] = [];
  for (const at of worst) {
    if (told.has(at)) continue;
    const source = Math.floor(at / matrix.n);
    const target = at % matrix.n;
    const reverse = target * matrix.n + source;
    const isBothWays = listed.has(reverse);
    if (isBothWays) told.add(reverse);
    const [from, to] = [agents[source].name, agents[target].name];
    const detail = isBothWays
      ? `${sayCell(matrix.cells[at])} there, ${sayCell(matrix.cells[reverse])} back`
      : isEndpoint(agents[target])
        ? sayCell(matrix.cells[at])
        : `${sayCell(matrix.cells[at])} this way only`;
    troubles.push({
      key: `pair ${at}`,
      state: stateName(matrix.cells[at]) as PairState,
      title: `${from} ${isBothWays ? '⇄' : '→'} ${to}`,
      detail,
      href: pairPath(from, to),
    });
  }
  return troubles;
}

function sayCell(cell: number): string {
  const state = stateName(cell);
  const loss = lossPermille(cell) ?? 0;
  if (state === 'lossy') return loss > 0 ? `${formatLoss(loss)} loss` : 'losses a moment ago';
  if (state === 'slow') return `slow, ${formatRtt(rttMicros(cell))}`;
  return stateWord(state).toLowerCase();
}

export interface Headline {
  state: PairState;
  title: string;
}

/** One sentence for somebody who was just woken up. */
export function headline(matrix: LiveMatrix, silent: number): Headline {
  const { pairs, byState } = matrix.tally;
  const [unknown, , slow, lossy, down] = byState;
  const bad = down + lossy + slow;
  const state: PairState = down > 0 ? 'down' : lossy > 0 ? 'lossy' : slow > 0 ? 'slow' : 'ok';
  if (bad > 0) return { state, title: `${plural(bad, 'pair')} in trouble` };
  if (pairs === 0) return { state: 'unknown', title: 'Nothing is measured yet' };
  if (silent > 0) return { state: 'unknown', title: saySilent(silent) };
  if (unknown > 0) return { state: 'unknown', title: `${plural(unknown, 'pair')} not known` };
  return { state: 'ok', title: 'All paths are well' };
}
