import { describe, expect, it } from 'vitest';
import { CLASS_DOWN, CLASS_UNKNOWN } from '../src/model/lens';
import { Pyramid } from '../src/model/pyramid';

const OK_CLASS = 2;

describe('the pyramid', () => {
  it('keeps one broken pair of a million visible at every zoom', () => {
    const pyramid = new Pyramid(1_000, 1_000);
    pyramid.fill((column, row) => (column === 613 && row === 77 ? CLASS_DOWN : OK_CLASS));
    for (const level of pyramid.levels) {
      expect([...level.classes].filter((kind) => kind === CLASS_DOWN)).toHaveLength(1);
    }
  });

  it('lets it go again when it is mended', () => {
    const pyramid = new Pyramid(37, 19);
    pyramid.fill(() => OK_CLASS);
    const changed: number[] = [];
    pyramid.set(36, 18, CLASS_DOWN, (depth) => changed.push(depth));
    expect(changed).toEqual(pyramid.levels.map((_, depth) => depth));
    expect(pyramid.levels.at(-1)!.classes[0]).toBe(CLASS_DOWN);
    pyramid.set(36, 18, OK_CLASS, () => undefined);
    expect(pyramid.levels.at(-1)!.classes[0]).toBe(OK_CLASS);
  });

  it('stops climbing where a worse neighbour hides the change', () => {
    const pyramid = new Pyramid(4, 4);
    pyramid.fill((column, row) => (column + row === 0 ? CLASS_DOWN : OK_CLASS));
    const changed: number[] = [];
    pyramid.set(1, 1, CLASS_UNKNOWN, (depth) => changed.push(depth));
    expect(changed).toEqual([0]);
  });

  it('after any writes is what filling anew would give', () => {
    const cells = new Map<string, number>();
    const at = (column: number, row: number) => cells.get(`${column},${row}`) ?? 0;
    const written = new Pyramid(13, 7);
    written.fill(at);
    for (let i = 0; i < 400; i += 1) {
      const [column, row, kind] = [(i * 7) % 13, (i * 5) % 7, (i * 11) % 14];
      cells.set(`${column},${row}`, kind);
      written.set(column, row, kind, () => undefined);
    }
    const filled = new Pyramid(13, 7);
    filled.fill(at);
    expect(written.levels).toEqual(filled.levels);
  });

  it('picks the finest level with a pixel for each block', () => {
    const pyramid = new Pyramid(1_000, 1_000);
    expect([16, 1, 0.9, 0.5, 0.3].map((scale) => pyramid.depthFor(scale))).toEqual([0, 0, 1, 1, 2]);
    expect(pyramid.depthFor(1e-9)).toBe(pyramid.levels.length - 1);
  });
});
