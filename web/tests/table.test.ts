import { describe, expect, it } from 'vitest';
import { placeBeside } from '../src/model/place';
import { formatOrder, nextOrder, pageOf, parseOrder, withParams } from '../src/model/table';
import { selectAgents, tagsOf, AGENT_ORDER, type AgentRow } from '../src/model/agents';

const COLUMNS = ['name', 'loss'] as const;
const FALLBACK = { column: 'name', descending: false } as const;

describe('the order of a table', () => {
  it('goes into the address and back, and is not there when it is the usual one', () => {
    for (const text of ['loss', '-loss', '-name']) {
      expect(formatOrder(parseOrder(text, COLUMNS, FALLBACK), FALLBACK)).toBe(text);
    }
    expect(formatOrder(parseOrder('nonsense', COLUMNS, FALLBACK), FALLBACK)).toBeNull();
    expect(parseOrder(null, COLUMNS, FALLBACK)).toEqual(FALLBACK);
  });

  it('turns around on the same column and begins anew on another', () => {
    const once = nextOrder<string>(FALLBACK, 'loss', true);
    expect(once).toEqual({ column: 'loss', descending: true });
    expect(nextOrder(once, 'loss', true)).toEqual({ column: 'loss', descending: false });
  });
});

describe('a page of rows', () => {
  const rows = Array.from({ length: 25 }, (_, at) => at);

  it('says which rows it shows', () => {
    expect(pageOf(rows, 3, 10)).toMatchObject({ page: 3, pages: 3, first: 21, last: 25 });
    expect(pageOf([], 1, 10)).toMatchObject({ page: 1, pages: 1, first: 0, last: 0 });
  });

  it('is the nearest one when the address asks for one that is not there', () => {
    expect(pageOf(rows, 99, 10).page).toBe(3);
    expect(pageOf(rows, -1, 10).page).toBe(1);
    expect(pageOf(rows, NaN, 10).page).toBe(1);
  });

  it('changes some parameters of an address and keeps the others', () => {
    expect(withParams('?q=a&page=2', { page: null })).toBe('?q=a');
    expect(withParams('?q=a', { q: '' })).toBe('');
    expect(withParams('', { order: '-loss' })).toBe('?order=-loss');
  });
});

describe('the table of agents', () => {
  const well = { down: 0, lossy: 0, slow: 0, unknown: 0, ok: 4 };
  const row = (name: string, part: Partial<AgentRow> = {}): AgentRow => ({
    name,
    site: 'alpha',
    tags: [],
    version: '0.1.0',
    last_seen_at: '2026-11-23T00:00:00Z',
    health: { from: well, to: well },
    isSilent: false,
    ...part,
  });
  const rows = [
    row('node-10', { tags: ['web', 'edge'] }),
    row('node-9', { health: { from: well, to: { ...well, slow: 3 } } }),
    row('node-2', { isSilent: true, last_seen_at: null }),
    row('node-1', { site: 'beta', health: { from: { ...well, down: 1 }, to: well } }),
  ];
  const names = (text: string, order = AGENT_ORDER, tag = '') =>
    selectAgents(rows, text, tag, order).map((one) => one.name);

  it('puts the silent first, then those with the worst pairs', () => {
    expect(names('')).toEqual(['node-2', 'node-1', 'node-9', 'node-10']);
  });

  it('keeps what every word matches', () => {
    expect(names('NODE beta')).toEqual(['node-1']);
    expect(names('nothing')).toEqual([]);
    expect(names('edge')).toEqual(['node-10']);
  });

  it('keeps those with a tag, by its whole name, and counts them', () => {
    expect(names('', AGENT_ORDER, 'web')).toEqual(['node-10']);
    expect(names('', AGENT_ORDER, 'we')).toEqual([]);
    expect(tagsOf(rows)).toEqual([
      { tag: 'edge', count: 1 },
      { tag: 'web', count: 1 },
    ]);
  });

  it('sorts names as people count, and never heard from as the longest ago', () => {
    expect(names('', { column: 'name', descending: false })[3]).toBe('node-10');
    expect(names('', { column: 'seen', descending: false })[0]).toBe('node-2');
  });
});

describe('a tooltip', () => {
  const bounds = { width: 400, height: 300 };
  const size = { width: 120, height: 60 };
  const covers = (free: { left: number; top: number; right: number; bottom: number }) => {
    const { left, top } = placeBeside(free, size, bounds);
    expect(left).toBeGreaterThanOrEqual(0);
    expect(left + size.width).toBeLessThanOrEqual(bounds.width);
    const apart =
      left >= free.right ||
      left + size.width <= free.left ||
      top >= free.bottom ||
      top + size.height <= free.top;
    return !apart;
  };

  it('never covers what it is about, wherever that is', () => {
    for (let x = 0; x < bounds.width; x += 20) {
      for (let y = 0; y < bounds.height; y += 20) {
        expect(covers({ left: x - 30, top: y - 20, right: x + 30, bottom: y + 20 })).toBe(false);
      }
    }
  });

  it('goes beside when there is no room below or above', () => {
    const tall = { left: 100, top: 20, right: 180, bottom: 280 };
    expect(placeBeside(tall, size, bounds).left).toBe(186);
  });
});
