import { describe, expect, it } from 'vitest';
import { DOWN, LOSSY, NOT_ASSIGNED, OK, SELF, SLOW, UNKNOWN } from '../src/model/cell';
import { NO_FILTER, Selection, type Filter } from '../src/model/filter';
import { LiveMatrix } from '../src/model/live';
import { buildAxis, orderAgents } from '../src/model/order';
import { DEFAULT_ORDER, selectRows, type RowOrder } from '../src/model/rows';
import { findPatterns, isWorseThanReverse, worstPairs } from '../src/model/worst';
import { packCell } from './cells';

const agents = ['beta-10', 'alpha-2', 'beta-9', 'alpha-1'].map((name, index) => ({
  index,
  name,
  site: name.split('-')[0],
}));
const n = agents.length;

function mesh(cells: Record<string, number> = {}): LiveMatrix {
  const all = new Uint32Array(n * n).map((_, at) =>
    at % (n + 1) === 0 ? packCell(SELF, null, null) : packCell(OK, 0, 1_000 + at),
  );
  for (const [pair, cell] of Object.entries(cells)) {
    const [source, target] = pair
      .split(' ')
      .map((name) => agents.findIndex((a) => a.name === name));
    all[source * n + target] = cell;
  }
  return new LiveMatrix({ n, generation: 1n, sequence: 0n, serverMicros: 0n, cells: all });
}

function list(matrix: LiveMatrix, filter: Partial<Filter> = {}, order: RowOrder = DEFAULT_ORDER) {
  const selection = new Selection({ ...NO_FILTER, ...filter }, agents);
  return selectRows(matrix, agents, selection, order).map(
    (at) => `${agents[Math.floor(at / n)].name} ${agents[at % n].name}`,
  );
}

const broken = mesh({
  'alpha-1 beta-9': packCell(LOSSY, 40, 1_000),
  'beta-9 alpha-1': packCell(DOWN, 1_000, null),
  'beta-10 beta-9': packCell(LOSSY, 400, 1_000),
  'alpha-2 beta-9': packCell(SLOW, 0, 90_000),
  'alpha-2 beta-10': packCell(NOT_ASSIGNED, null, null),
});

describe('the list', () => {
  it('holds every measured pair, the worst first, then by name', () => {
    const rows = list(broken);
    expect(rows).toHaveLength(11);
    expect(rows.slice(0, 5)).toEqual([
      'beta-9 alpha-1',
      'beta-10 beta-9',
      'alpha-1 beta-9',
      'alpha-2 beta-9',
      'alpha-1 alpha-2',
    ]);
  });

  it('sorts names as people count and unknown below every number', () => {
    const bySource = list(broken, {}, { column: 'source', descending: false });
    expect(
      bySource.map((row) => row.split(' ')[0]).filter((name, i, all) => name !== all[i - 1]),
    ).toEqual(['alpha-1', 'alpha-2', 'beta-9', 'beta-10']);
    expect(list(broken, {}, { column: 'rtt', descending: false })[0]).toBe('beta-9 alpha-1');
    expect(list(broken, {}, { column: 'loss', descending: true })[0]).toBe('beta-9 alpha-1');
  });

  it('filters by a word at either end, by direction, and by state', () => {
    expect(list(broken, { text: 'alpha-2' })).toHaveLength(5);
    expect(list(broken, { text: 'alpha > beta' }).sort()).toEqual([
      'alpha-1 beta-10',
      'alpha-1 beta-9',
      'alpha-2 beta-9',
    ]);
    expect(list(broken, { text: 'alpha-2 <> beta' }).sort()).toEqual([
      ...['alpha-2 beta-9', 'beta-10 alpha-2', 'beta-9 alpha-2'],
    ]);
    expect(list(broken, { text: '> beta-9', states: ['slow', 'lossy'] })).toEqual([
      'beta-10 beta-9',
      'alpha-1 beta-9',
      'alpha-2 beta-9',
    ]);
    expect(list(broken, { text: 'nobody' })).toEqual([]);
  });
});

describe('the axes', () => {
  it('keep sites together and name their blocks', () => {
    const axis = buildAxis(orderAgents(agents, 'site', broken), agents, 'site', () => true);
    expect([...axis.agents]).toEqual([3, 1, 2, 0]);
    expect(axis.blocks).toEqual([
      { site: 'alpha', start: 0, end: 2 },
      { site: 'beta', start: 2, end: 4 },
    ]);
    expect([...axis.positions]).toEqual([3, 1, 2, 0]);
  });

  it('drop what the filter leaves out', () => {
    const axis = buildAxis([3, 1, 2, 0], agents, 'name', (index) => index > 1);
    expect([...axis.agents]).toEqual([3, 2]);
    expect([...axis.positions]).toEqual([-1, -1, 1, 0]);
    expect(axis.blocks).toEqual([]);
  });

  it('put the agent in most trouble first', () => {
    expect(orderAgents(agents, 'worst', broken)[0]).toBe(2);
  });
});

describe('what to look at first', () => {
  it('names an agent that nobody reaches, with its witnesses', () => {
    const down = packCell(DOWN, 1_000, null);
    const column = mesh({
      'beta-10 alpha-1': down,
      'alpha-2 alpha-1': down,
      'beta-9 alpha-1': down,
    });
    expect(findPatterns(column, agents)).toEqual([
      {
        agent: 3,
        text: 'Nobody reaches alpha-1',
        evidence: '3 of 3 pairs to it are down',
        filter: '> alpha-1',
      },
    ]);
  });

  it('names nobody while one witness still gets through', () => {
    const down = packCell(DOWN, 1_000, null);
    expect(
      findPatterns(mesh({ 'beta-10 alpha-1': down, 'alpha-2 alpha-1': down }), agents),
    ).toEqual([]);
  });

  it('lets unknown pairs neither accuse nor excuse', () => {
    const down = packCell(DOWN, 1_000, null);
    const unknown = packCell(UNKNOWN, null, null);
    const mute = mesh({
      'alpha-1 beta-9': unknown,
      'alpha-1 beta-10': unknown,
      'alpha-1 alpha-2': down,
    });
    expect(findPatterns(mute, agents)).toEqual([]);
  });

  it('leaves out the pairs that a pattern explains', () => {
    const down = packCell(DOWN, 1_000, null);
    const cut = { 'beta-10 alpha-1': down, 'alpha-2 alpha-1': down, 'beta-9 alpha-1': down };
    expect(worstPairs(mesh({ ...cut, 'beta-9 beta-10': down }), 10)).toEqual([2 * n]);
  });

  it('lists trouble only, worst first, up to the limit', () => {
    expect(worstPairs(broken, 10)).toHaveLength(4);
    expect(worstPairs(broken, 1)).toEqual([2 * n + 3]);
    expect(worstPairs(mesh(), 10)).toEqual([]);
  });

  it('marks the worse direction of a pair, and only that one', () => {
    const [forth, back] = [broken.cell(2, 3), broken.cell(3, 2)];
    expect([isWorseThanReverse(forth, back), isWorseThanReverse(back, forth)]).toEqual([
      true,
      false,
    ]);
    expect(isWorseThanReverse(forth, packCell(NOT_ASSIGNED, null, null))).toBe(false);
    expect(isWorseThanReverse(forth, forth)).toBe(false);
  });
});
