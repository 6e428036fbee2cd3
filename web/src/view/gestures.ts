/** Mouse, pen and fingers on the matrix, told as a few plain verbs. */

export interface GestureHandlers {
  /** False leaves wheel and drag to the page, which then scrolls as usual. */
  canMove(): boolean;
  hover(x: number, y: number): void;
  leave(): void;
  tap(x: number, y: number): void;
  pan(x: number, y: number): void;
  zoom(factor: number, x: number, y: number): void;
}

interface Point {
  x: number;
  y: number;
}

/** A press that wanders less than this is a tap, also under an unsteady thumb. */
const TAP_SLOP_PIXELS = 6;
const WHEEL_ZOOM_PER_PIXEL = 0.0022;
/** Wheels that count lines or pages move about this many pixels a notch. */
const WHEEL_LINE_PIXELS = 32;

export function listenToGestures(element: HTMLElement, handlers: GestureHandlers): () => void {
  const pointers = new Map<number, Point>();
  let wandered = 0;

  const at = (event: MouseEvent): Point => {
    const { left, top } = element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };

  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, at(event));
    if (pointers.size === 1) wandered = 0;
    if (handlers.canMove()) element.setPointerCapture(event.pointerId);
  };

  const move = (event: PointerEvent) => {
    const to = at(event);
    const from = pointers.get(event.pointerId);
    if (!from) {
      if (event.pointerType !== 'touch') handlers.hover(to.x, to.y);
      return;
    }
    wandered += Math.hypot(to.x - from.x, to.y - from.y);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, to);
    if (!handlers.canMove() || wandered < TAP_SLOP_PIXELS) return;
    if (other) pinch(from, to, other);
    else handlers.pan(to.x - from.x, to.y - from.y);
    handlers.leave();
  };

  const pinch = (from: Point, to: Point, other: Point) => {
    const before = Math.hypot(from.x - other.x, from.y - other.y);
    const after = Math.hypot(to.x - other.x, to.y - other.y);
    // Each finger is half of the gesture, so half of its way is a pan.
    handlers.pan((to.x - from.x) / 2, (to.y - from.y) / 2);
    if (before > 0) handlers.zoom(after / before, (to.x + other.x) / 2, (to.y + other.y) / 2);
  };

  const up = (event: PointerEvent) => {
    const known = pointers.delete(event.pointerId);
    const point = at(event);
    if (known && event.type === 'pointerup' && wandered < TAP_SLOP_PIXELS) {
      handlers.tap(point.x, point.y);
    }
  };

  const wheel = (event: WheelEvent) => {
    if (!handlers.canMove()) return;
    event.preventDefault();
    const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * WHEEL_LINE_PIXELS;
    const { x, y } = at(event);
    handlers.zoom(Math.exp(-pixels * WHEEL_ZOOM_PER_PIXEL), x, y);
  };

  const leave = () => handlers.leave();
  const controller = new AbortController();
  const { signal } = controller;
  element.addEventListener('pointerdown', down, { signal });
  element.addEventListener('pointermove', move, { signal });
  element.addEventListener('pointerup', up, { signal });
  element.addEventListener('pointercancel', up, { signal });
  element.addEventListener('pointerleave', leave, { signal });
  element.addEventListener('wheel', wheel, { signal, passive: false });
  return () => controller.abort();
}
