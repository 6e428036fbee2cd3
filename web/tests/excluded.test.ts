import { describe, expect, it } from 'vitest';
import { NOT_ASSIGNED, OK, SELF, UNKNOWN, stateOf } from '../src/model/cell';
import { excludedBy, matches, type KeyedAgent } from '../src/model/excluded';
import { NOTHING_EXCLUDED } from '../src/model/left-out';
import { LiveMatrix } from '../src/model/live';
import { findTroubles, headline } from '../src/model/trouble';
import { KIND_PATCH } from '../src/model/wire';
import { packCell } from './cells';

const NOW = Date.parse('2026-11-23T10:00:00Z');
const KEY = 'ab'.repeat(32);

function agent(index: number, name: string, site: string, tags: string[] = []): KeyedAgent {
  return { index, id: index === 0 ? KEY : `${index}`, name, site, tags };
}
const AGENTS = [
  agent(0, 'a-1', 'alpha'),
  agent(1, 'b-1', 'beta', ['backup']),
  agent(2, 'b-2', 'beta'),
  { ...agent(3, 'gateway', 'endpoints'), kind: 'endpoint' as const },
];
const N = AGENTS.length;

function pairsOf(...exclude: [string, string][]): string[] {
  const { hasCell } = excludedBy(
    exclude.map((between) => ({ between })),
    AGENTS,
  );
  return Array.from({ length: N * N }, (_, at) => at)
    .filter((at) => hasCell(at) && Math.floor(at / N) !== at % N)
    .map((at) => `${Math.floor(at / N)}>${at % N}`);
}

/** All OK, but what the third has and is told of it: nobody knows. */
function matrixOf(excluded = NOTHING_EXCLUDED): LiveMatrix {
  const cells = Uint32Array.from({ length: N * N }, (_, at) => {
    const [source, target] = [Math.floor(at / N), at % N];
    if (source === target) return packCell(SELF, null, null);
    if (source === 3) return packCell(NOT_ASSIGNED, null, null);
    const isKnown = source !== 2 && target !== 2;
    return isKnown ? packCell(OK, 0, 400) : packCell(UNKNOWN, null, null);
  });
  return new LiveMatrix({ n: N, generation: 1n, sequence: 0n, serverMicros: 0n, cells }, excluded);
}
const LEFT_OUT = excludedBy([{ between: ['agent:b-2', 'all'] }], AGENTS);

describe('what the configuration leaves out', () => {
  it('is named by site, tag, name or key', () => {
    const fitting = (selector: string) =>
      AGENTS.filter((one) => matches(selector, one)).map(({ name }) => name);
    expect(fitting('all')).toHaveLength(4);
    expect(fitting('site:beta')).toEqual(['b-1', 'b-2']);
    expect(fitting('tag:backup')).toEqual(['b-1']);
    expect(fitting('agent:a-1')).toEqual(['a-1']);
    expect(fitting(`agent:${KEY.toUpperCase()}`)).toEqual(['a-1']);
    expect(fitting('site:')).toEqual([]);
    expect(fitting('alpha')).toEqual([]);
    expect(fitting('host:a-1')).toEqual([]);
  });

  it('is left out in both directions, and endpoints are not', () => {
    expect(pairsOf(['site:alpha', 'tag:backup'])).toEqual(['0>1', '1>0']);
    expect(pairsOf(['site:beta', 'site:beta'])).toEqual(['1>2', '2>1']);
    expect(pairsOf(['site:alpha', 'agent:gateway'])).toEqual([]);
    expect(pairsOf()).toEqual([]);
  });

  it('takes with it what somebody who is gone would have observed', () => {
    expect(pairsOf(['all', 'agent:b-2'])).toEqual(['0>2', '1>2', '2>0', '2>1', '2>3']);
    expect([...LEFT_OUT.leftOut]).toEqual([2]);
    expect([...excludedBy([{ between: ['site:beta', 'site:alpha'] }], AGENTS).leftOut]).toEqual([]);
  });
});

describe('a matrix without them', () => {
  it('is well again, whoever is silent', () => {
    const seen = AGENTS.map((one) => ({
      ...one,
      last_seen_at: one.index === 2 ? null : new Date(NOW).toISOString(),
      isLeftOut: one.index === 2,
    }));
    const matrix = matrixOf(LEFT_OUT);
    expect(matrix.tally.pairs).toBe(4);
    expect(headline(matrix, 0).title).toBe('All paths are well');
    expect(findTroubles(matrix, seen, NOW, 9)).toEqual([]);
  });

  it('shows what is measured all the same, until it is not any more', () => {
    const matrix = matrixOf(LEFT_OUT);
    const patch = (sequence: bigint, cell: number) => ({
      kind: KIND_PATCH,
      generation: 1n,
      sequence,
      serverMicros: 0n,
      patches: Uint32Array.from([2, cell]),
    });
    matrix.receive(patch(1n, packCell(OK, 0, 400)), () => undefined);
    expect([stateOf(matrix.cell(0, 2)), matrix.tally.pairs]).toEqual([OK, 5]);
    matrix.receive(patch(2n, packCell(UNKNOWN, null, null)), () => undefined);
    expect([stateOf(matrix.cell(0, 2)), matrix.tally.pairs]).toEqual([NOT_ASSIGNED, 4]);
  });

  it('has them again when they are not left out any more', () => {
    const back = matrixOf(LEFT_OUT).excluding(NOTHING_EXCLUDED);
    expect(back.tally).toEqual(matrixOf().tally);
    expect(back.cells).toEqual(matrixOf().cells);
    expect(matrixOf().excluding(LEFT_OUT).tally.pairs).toBe(4);
  });
});
