/** What to look at first: shapes in the matrix named in words, then the single worst pairs. */

import {
  DOWN,
  LOSSY,
  SLOW,
  UNKNOWN,
  isPair,
  lossPermille,
  rankOf,
  rttMicros,
  stateOf,
} from './cell';
import type { Ends, LiveMatrix } from './live';
import type { AgentLabel } from './order';
import { formatCount, plural } from './format';
import { saySilent } from './silence';

export interface Pattern {
  /** Index of the agent that it is about. */
  agent: number;
  /** What the shape says, with the count that it was read from. */
  text: string;
  evidence: string;
  /** The filter text that shows exactly these pairs. */
  filter: string;
}

/** Fewer pairs than this are no pattern: two of two may be chance, and the pairs are listed anyway. */
const WITNESSES_MIN = 3;

/**
 * An agent is named when every pair of it in a direction that we know about is down; unknown pairs neither
 * accuse nor excuse. This only describes the picture: the cause is for the verdict to decide.
 */
export function findPatterns(matrix: LiveMatrix, agents: AgentLabel[]): Pattern[] {
  const patterns: Pattern[] = [];
  for (const { index, name } of agents) {
    const isMute = isCut(matrix.rows, index);
    const isUnreached = isCut(matrix.columns, index);
    if (!isMute && !isUnreached) continue;
    const from = `${share(matrix.rows, index)} pairs from it`;
    const to = `${share(matrix.columns, index)} pairs to it`;
    if (isMute && isUnreached) {
      patterns.push({
        agent: index,
        text: `${name} is cut off`,
        evidence: `${from} and ${to} are down`,
        filter: name,
      });
    } else if (isMute) {
      patterns.push({
        agent: index,
        text: `${name} reaches nobody`,
        evidence: `${from} are down`,
        filter: `${name} >`,
      });
    } else {
      patterns.push({
        agent: index,
        text: `Nobody reaches ${name}`,
        evidence: `${to} are down`,
        filter: `> ${name}`,
      });
    }
  }
  return patterns;
}

function isCut({ pairs, down, unknown }: Ends, agent: number): boolean {
  return down[agent] >= WITNESSES_MIN && down[agent] === pairs[agent] - unknown[agent];
}

function share({ pairs, down }: Ends, agent: number): string {
  return `${formatCount(down[agent])} of ${formatCount(pairs[agent])}`;
}

/**
 * Cell numbers of the worst pairs in trouble, worst first. Those that a pattern explains are left out, so that
 * one dead agent does not hide everything else; unknown is told by its count only.
 */
export function worstPairs(matrix: LiveMatrix, limit: number): number[] {
  const { cells } = matrix;
  const bad: number[] = [];
  for (let at = 0; at < cells.length; at += 1) {
    const state = stateOf(cells[at]);
    if (state === DOWN && isExplained(matrix, at)) continue;
    if (state === DOWN || state === LOSSY || state === SLOW) bad.push(at);
  }
  bad.sort((a, b) => badness(cells[b]) - badness(cells[a]) || a - b);
  return bad.slice(0, limit);
}

function isExplained(matrix: LiveMatrix, at: number): boolean {
  const source = Math.floor(at / matrix.n);
  return isCut(matrix.rows, source) || isCut(matrix.columns, at - source * matrix.n);
}

function badness(cell: number): number {
  return (
    rankOf(cell) * 1e9 + (lossPermille(cell) ?? 0) * 1e6 + Math.min(rttMicros(cell) ?? 0, 999_999)
  );
}

/** True when trouble is worse in this direction than in the other, and both are known. */
export function isWorseThanReverse(cell: number, reverse: number): boolean {
  const bothKnown = isKnown(cell) && isKnown(reverse);
  return bothKnown && rankOf(cell) > rankOf(reverse);
}

function isKnown(cell: number): boolean {
  return isPair(cell) && stateOf(cell) !== UNKNOWN;
}

/** What nobody knows is not well, and is said beside what is wrong. */
export function summarise(matrix: LiveMatrix, silent: number): string {
  const { pairs, byState } = matrix.tally;
  const bad = byState[DOWN] + byState[LOSSY] + byState[SLOW];
  if (pairs === 0) return 'No pair is measured yet';
  const unknown = byState[UNKNOWN];
  const said = [
    bad > 0 ? `${formatCount(bad)} of ${plural(pairs, 'pair')} in trouble` : '',
    silent > 0 ? saySilent(silent) : unknown > 0 ? `${plural(unknown, 'pair')} not known` : '',
  ].filter(Boolean);
  return said.length > 0 ? said.join('; ') : `No trouble on ${plural(pairs, 'pair')}`;
}
