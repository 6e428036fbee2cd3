import { describe, expect, it } from 'vitest';
import { arrivalsSince, sayArrival } from '../src/model/arrivals';
import { agentHealth, sayHealth, siteMatrix, totalOf, worstOf } from '../src/model/health';
import { LiveMatrix } from '../src/model/live';
import { peersOf } from '../src/model/peers';
import { findShapes } from '../src/model/shapes';
import { isSilent, silenceMs } from '../src/model/silence';
import { findTroubles, headline, type SeenAgent } from '../src/model/trouble';
import { summarise } from '../src/model/worst';
import { packCell } from './cells';

const NOW = Date.parse('2026-11-23T10:00:00Z');
const [UNKNOWN, OK, SLOW, LOSSY, DOWN, SELF, NOT_ASSIGNED] = [0, 1, 2, 3, 4, 5, 6];

function agents(count: number, silent = -1): SeenAgent[] {
  return Array.from({ length: count }, (_, index) => ({
    index,
    name: `n${index}`,
    site: index < 2 ? 'alpha' : 'beta',
    last_seen_at: new Date(NOW - (index === silent ? 300_000 : 1_000)).toISOString(),
  }));
}

/** All pairs OK, but for those named "source>target". */
function matrixOf(n: number, cells: Record<string, number> = {}): LiveMatrix {
  const all = new Uint32Array(n * n);
  for (let source = 0; source < n; source += 1) {
    for (let target = 0; target < n; target += 1) {
      const usual = source === target ? packCell(SELF, null, null) : packCell(OK, 0, 400);
      all[source * n + target] = cells[`${source}>${target}`] ?? usual;
    }
  }
  return new LiveMatrix({ n, generation: 1n, sequence: 0n, serverMicros: 0n, cells: all });
}

/** 24 of the 36 pairs from the first six agents to the other six, at most four at each end. */
const crossing = [0, 1, 2, 3, 4, 5].flatMap((source) =>
  [0, 1, 2, 3].map((step) => [source, 6 + ((source + step) % 6)]),
);

const lossy = packCell(LOSSY, 40, 400);
const down = packCell(DOWN, 1_000, null);
const unknown = packCell(UNKNOWN, null, null);

describe('what is wrong now', () => {
  it('is nothing when all is well', () => {
    const matrix = matrixOf(5);
    expect(findTroubles(matrix, agents(5), NOW, 12)).toEqual([]);
    expect(headline(matrix, 0)).toEqual({ state: 'ok', title: 'All paths are well' });
  });

  it('tells a pair that is bad both ways once, and says when it is one way only', () => {
    const matrix = matrixOf(5, { '0>1': lossy, '1>0': packCell(SLOW, 0, 90_000), '2>3': lossy });
    const troubles = findTroubles(matrix, agents(5), NOW, 12);
    expect(troubles.map(({ title }) => title)).toEqual(['n0 ⇄ n1', 'n2 → n3']);
    expect(troubles[0].detail).toBe('4.0\u00a0% loss there, slow, 90.0\u00a0ms back');
    expect(troubles[1]).toMatchObject({
      detail: '4.0\u00a0% loss this way only',
      href: '/pairs/n2/n3',
    });
    expect(headline(matrix, 0)).toEqual({ state: 'lossy', title: '3 pairs in trouble' });
  });

  it('names an agent instead of each of its pairs', () => {
    const cells = Object.fromEntries([1, 2, 3, 4].map((source) => [`${source}>0`, down]));
    const troubles = findTroubles(matrixOf(5, cells), agents(5), NOW, 12);
    expect(troubles).toHaveLength(1);
    expect(troubles[0]).toMatchObject({ title: 'Nobody reaches n0', href: '/agents/n0' });
  });

  it('tells most pairs to an agent together, and accuses nobody else of them', () => {
    const cells: Record<string, number> = {};
    for (const source of [1, 2, 3, 4]) cells[`${source}>0`] = source === 4 ? lossy : down;
    const troubles = findTroubles(matrixOf(6, cells), agents(6), NOW, 12);
    expect(troubles.map(({ title }) => title)).toEqual(['Most pairs to n0 are in trouble']);
    expect(troubles[0].detail).toBe('3 down, 1 lossy of 5');
  });

  it('tells most pairs from one site to another together, and the odd one apart', () => {
    const inTwo = agents(12).map((agent) => ({ ...agent, site: agent.index < 6 ? 'a' : 'b' }));
    const cells: Record<string, number> = { '1>2': lossy };
    for (const [source, target] of crossing) cells[`${source}>${target}`] = lossy;
    const titles = findTroubles(matrixOf(12, cells), inTwo, NOW, 12).map(({ title }) => title);
    expect(titles).toEqual(['Most pairs from a to b are in trouble', 'n1 → n2']);
  });

  it('tells a cut between two sites once, and blames none of the agents for it', () => {
    const inThree = agents(9).map((agent) => ({
      ...agent,
      site: 'abc'[Math.floor(agent.index / 3)],
    }));
    const isCut = (source: number, target: number) => source < 3 !== target < 3;
    const between = (target: string) => `All pairs between a and ${target} are down`;
    const cells: Record<string, number> = {};
    for (let at = 0; at < 81; at += 1)
      if (isCut(Math.floor(at / 9), at % 9)) cells[`${Math.floor(at / 9)}>${at % 9}`] = down;
    const [first, second, ...more] = findTroubles(matrixOf(9, cells), inThree, NOW, 12);
    expect([first.title, second.title, more]).toEqual([between('b'), between('c'), []]);
    expect(first).toMatchObject({ detail: '18 down of 18', href: '/matrix?q=a%20%3C%3E%20b' });
    const { shapes, rest } = findShapes(matrixOf(9, cells), inThree);
    expect(shapes.map(({ filter }) => filter)).toEqual(['a <> b', 'a <> c']);
    expect(rest).toEqual([]);
  });

  it('gives each pair to one group only', () => {
    const cells: Record<string, number> = {};
    for (const peer of [2, 3, 4, 5, 6, 7]) {
      cells[`0>${peer}`] = lossy;
      cells[`${peer}>1`] = lossy;
    }
    const titles = findTroubles(matrixOf(12, cells), agents(12), NOW, 12).map(({ title }) => title);
    expect(titles).toEqual([
      'Most pairs from n0 are in trouble',
      'Most pairs to n1 are in trouble',
    ]);
  });

  it('tells silence apart from an agent that is heard from and measures nothing', () => {
    const cells = Object.fromEntries([1, 2, 3, 4].map((target) => [`0>${target}`, unknown]));
    const matrix = matrixOf(5, cells);
    expect(findTroubles(matrix, agents(5), NOW, 12)[0].title).toBe('n0 measures nothing');
    const silent = findTroubles(matrix, agents(5, 0), NOW, 12);
    expect(silent).toHaveLength(1);
    expect(silent[0]).toMatchObject({
      title: 'n0 is silent',
      detail: 'not heard from for 5\u00a0min',
    });
    expect(headline(matrixOf(5), 1).title).toBe('1 agent is silent');
  });

  it('is no matrix without trouble while somebody is silent or a pair is not known', () => {
    expect(summarise(matrixOf(3), 0)).toBe('No trouble on 6 pairs');
    expect(summarise(matrixOf(3), 1)).toBe('1 agent is silent');
    expect(summarise(matrixOf(3, { '0>1': unknown }), 0)).toBe('1 pair not known');
    const both = matrixOf(3, { '0>1': down, '1>2': unknown });
    expect(summarise(both, 2)).toBe('1 of 6 pairs in trouble; 2 agents are silent');
  });

  it('counts an agent that was never heard from as silent', () => {
    expect(isSilent({ last_seen_at: null }, NOW)).toBe(true);
    expect(silenceMs({ last_seen_at: null }, NOW)).toBeNull();
    expect(isSilent({ last_seen_at: new Date(NOW + 5_000).toISOString() }, NOW)).toBe(false);
  });
});

describe('health', () => {
  const matrix = matrixOf(4, { '0>1': down, '0>2': lossy, '3>0': unknown });

  it('counts an agent’s pairs from it and to it', () => {
    const [first] = agentHealth(matrix);
    expect(first.from).toEqual({ down: 1, lossy: 1, slow: 0, unknown: 0, ok: 1 });
    expect(first.to).toEqual({ down: 0, lossy: 0, slow: 0, unknown: 1, ok: 2 });
    expect([worstOf(first.from), worstOf(first.to)]).toEqual(['down', 'unknown']);
    expect(sayHealth(first.from)).toBe('1 down, 1 lossy, 1 OK');
  });

  it('counts pairs between sites, in both directions apart', () => {
    const { sites, cells } = siteMatrix(matrix, agents(4));
    expect(sites).toEqual(['alpha', 'beta']);
    expect(cells.map(totalOf)).toEqual([2, 4, 4, 2]);
    expect(cells.map((cell) => cell.down)).toEqual([1, 0, 0, 0]);
    expect(cells.map((cell) => cell.unknown)).toEqual([0, 0, 1, 0]);
  });

  it('lists an agent’s peers, worst first, without those that nobody measures', () => {
    const none = packCell(NOT_ASSIGNED, null, null);
    const sparse = matrixOf(4, { '0>1': down, '0>3': none, '3>0': none });
    const order = { column: 'out', descending: true } as const;
    expect(peersOf(sparse, agents(4), 0, order).map(({ name }) => name)).toEqual(['n1', 'n2']);
  });
});

describe('arrivals', () => {
  it('are those who were not there before, with how much of them is measured', () => {
    const before = new Set(['a', 'b']);
    const now = ['a', 'b', 'c'].map((id, index) => ({ id, index }));
    const matrix = matrixOf(3, { '2>0': unknown, '2>1': unknown, '0>2': unknown });
    expect(arrivalsSince(before, now, matrix)).toEqual([{ agent: now[2], pairs: 4, measured: 1 }]);
  });

  it('are asked about when they joined and say nothing', () => {
    const said = (secondsAgo: number, last_seen_at: string | null, measured = 0) => {
      const joined_at = new Date(NOW - 1_000 * secondsAgo).toISOString();
      return sayArrival({ agent: { joined_at, last_seen_at }, pairs: 16, measured }, NOW);
    };
    expect(said(5, null)).toBe('waiting for its first results');
    expect(said(31, null)).toBe('joined, never reported: is `mesh-agent run` started?');
    expect(said(31, new Date(NOW).toISOString())).toBe('waiting for its first results');
    expect(said(31, null, 8)).toBe('8 of 16 pairs measured');
  });
});
