/** Where a tooltip goes: near what it is about, and never over it or its neighbours. */

export interface Rect {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface Size {
  width: number;
  height: number;
}

/** Pixels between the tooltip and what it must leave free. */
const GAP = 6;

/** The first of below, above, right and left that has room; else the side with the most. */
export function placeBeside(free: Rect, size: Size, bounds: Size): { left: number; top: number } {
  const left = within((free.left + free.right - size.width) / 2, bounds.width - size.width);
  const top = within((free.top + free.bottom - size.height) / 2, bounds.height - size.height);
  const below = free.bottom + GAP;
  const above = free.top - GAP - size.height;
  if (below + size.height <= bounds.height) return { left, top: below };
  if (above >= 0) return { left, top: above };
  const right = free.right + GAP;
  if (right + size.width <= bounds.width) return { left: right, top };
  const before = free.left - GAP - size.width;
  if (before >= 0) return { left: before, top };
  return { left, top: free.top > bounds.height - free.bottom ? 0 : bounds.height - size.height };
}

function within(value: number, most: number): number {
  return Math.max(0, Math.min(most, value));
}
