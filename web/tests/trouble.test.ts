import { describe, expect, it } from 'vitest';
import { arrivalsSince } from '../src/model/arrivals';
import { agentHealth, sayHealth, siteMatrix, totalOf, worstOf } from '../src/model/health';
import { LiveMatrix } from '../src/model/live';
import { peersOf } from '../src/model/peers';
import { isSilent, silenceMs } from '../src/model/silence';
import { findTroubles, headline, type SeenAgent } from '../src/model/trouble';
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
    expect(troubles[0].detail).toBe('4.0 % loss there, slow, 90.0 ms back');
    expect(troubles[1]).toMatchObject({ detail: '4.0 % loss this way only', href: '/pairs/n2/n3' });
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
    expect(titles).toEqual(['Most pairs from a to b', 'n1 → n2']);
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
    expect(silent[0]).toMatchObject({ title: 'n0 is silent', detail: 'not heard from for 5 min' });
    expect(headline(matrixOf(5), 1).title).toBe('1 agent is silent');
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
});
