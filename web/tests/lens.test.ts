import { describe, expect, it } from 'vitest';
import { DOWN, LOSSY, NOT_ASSIGNED, OK, SELF, SLOW, UNKNOWN } from '../src/model/cell';
import { LENSES, STYLES, classOf } from '../src/model/lens';
import { packCell } from './cells';

describe('the health lens', () => {
  it('orders the states: nothing, itself, ok, slow, unknown, lossy, down', () => {
    const cells = [
      packCell(NOT_ASSIGNED, null, null),
      packCell(SELF, null, null),
      packCell(OK, 0, 900_000),
      packCell(SLOW, 0, 5_000),
      packCell(SLOW, 0, 500_000),
      packCell(UNKNOWN, null, null),
      packCell(LOSSY, 4, 1_000),
      packCell(LOSSY, 300, 1_000),
      packCell(DOWN, 1_000, null),
    ];
    const classes = cells.map((cell) => classOf(cell, 'health'));
    expect(classes).toEqual([...new Set(classes)].sort((a, b) => a - b));
  });

  it('spends no colour on a healthy pair, however far it is', () => {
    expect(classOf(packCell(OK, 0, 300), 'health')).toBe(
      classOf(packCell(OK, 0, 280_000), 'health'),
    );
  });
});

describe('every lens', () => {
  it('has a style for each class it gives', () => {
    for (const lens of LENSES) {
      for (let state = 0; state <= NOT_ASSIGNED; state += 1) {
        for (const loss of [null, 0, 8, 40, 120, 1_000]) {
          for (const rtt of [null, 500, 3_000, 12_000, 40_000, 99_000, 2_000_000]) {
            const kind = classOf(packCell(state, loss, rtt), lens);
            expect(STYLES[lens][kind], `${lens}, state ${state}, class ${kind}`).toBeTruthy();
          }
        }
      }
    }
  });

  it('shows loss in the loss lens also below what makes a pair lossy', () => {
    expect(classOf(packCell(OK, 4, 500), 'loss')).toBeGreaterThan(
      classOf(packCell(OK, 0, 500), 'loss'),
    );
  });
});
