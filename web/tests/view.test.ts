import { describe, expect, it } from 'vitest';
import { formatQuery, parseQuery } from '../src/model/query';
import { canZoom, fit, panBy, reveal, visible, zoomAt } from '../src/model/viewport';

const box = { width: 1_000, height: 600 };

describe('the viewport', () => {
  it('shows all agents at first and keeps small cells from growing without end', () => {
    const thousand = fit(box, 1_000, 1_000);
    expect(thousand.scaleY * 1_000).toBeLessThanOrEqual(600);
    expect(thousand.scaleX * 1_000).toBeLessThanOrEqual(1_000);
    expect(fit(box, 2, 2).scaleY).toBeLessThan(100);
    expect([canZoom(box, 9, 9), canZoom(box, 1_000, 1_000)]).toEqual([false, true]);
  });

  it('zooms about the pointer', () => {
    const before = fit(box, 1_000, 1_000);
    const after = zoomAt(before, 8, 400, 300, box, 1_000, 1_000);
    expect(after.x + 400 / after.scaleX).toBeCloseTo(before.x + 400 / before.scaleX, 6);
    expect(after.y + 300 / after.scaleY).toBeCloseTo(before.y + 300 / before.scaleY, 6);
  });

  it('never leaves the matrix', () => {
    const zoomed = zoomAt(fit(box, 1_000, 1_000), 10, 0, 0, box, 1_000, 1_000);
    expect(panBy(zoomed, 1e6, 1e6, box, 1_000, 1_000)).toMatchObject({ x: 0, y: 0 });
    const far = panBy(zoomed, -1e6, -1e6, box, 1_000, 1_000);
    expect(far.x).toBeCloseTo(1_000 - 1_000 / zoomed.scaleX, 6);
    expect(zoomAt(zoomed, 1e-9, 0, 0, box, 1_000, 1_000)).toEqual(fit(box, 1_000, 1_000));
  });

  it('scrolls a focused cell wholly into view', () => {
    const zoomed = zoomAt(fit(box, 1_000, 1_000), 40, 0, 0, box, 1_000, 1_000);
    const moved = reveal(zoomed, 500, 700, box, 1_000, 1_000);
    const columns = visible(moved.x, moved.scaleX, box.width, 1_000);
    expect(columns.start).toBeLessThanOrEqual(500);
    expect(moved.y + box.height / moved.scaleY).toBeGreaterThanOrEqual(701);
  });
});

describe('the address', () => {
  it('carries the whole state there and back', () => {
    const search =
      '?view=list&lens=rtt&sort=worst&q=alpha+%3E+beta&state=down%2Cslow&order=-rtt&pair=alpha-1%7Ebeta-2';
    expect(formatQuery(parseQuery(new URLSearchParams(search)))).toBe(search);
  });

  it('is bare by default and forgives nonsense', () => {
    const nonsense = '?view=cube&lens=x&sort=&state=bad&order=--&pair=a~b~c';
    expect(formatQuery(parseQuery(new URLSearchParams(nonsense)))).toBe('');
  });
});
