/** Short words about something that was just done. What stays true belongs on the page itself. */

export interface Toast {
  id: number;
  kind: 'done' | 'failed';
  text: string;
}

/** Somebody who points at them may have the focus there as well, and one may end before the other. */
export type Hold = 'pointer' | 'focus';

/** Long enough to notice it and read two lines twice; a failure stays until it is put away. */
const SHOWN_MS = 8_000;
/** More than this at once would cover the page; the oldest goes. */
const AT_ONCE_MAX = 3;

class Toasts {
  all = $state<Toast[]>([]);
  #next = 0;
  /** Of those that go by themselves; `undefined` while they are held. */
  #timers = new Map<number, ReturnType<typeof setTimeout> | undefined>();
  #holds = new Set<Hold>();

  get isHeld(): boolean {
    return this.#holds.size > 0;
  }

  done(text: string): void {
    this.#passes(this.#add('done', text));
  }

  failed(text: string): void {
    this.#add('failed', text);
  }

  /** While there is a reason to, none goes, and none that comes meanwhile. */
  hold(why: Hold): void {
    this.#holds.add(why);
    for (const id of this.#timers.keys()) this.#passes(id);
  }

  release(why: Hold): void {
    this.#holds.delete(why);
    for (const id of this.#timers.keys()) this.#passes(id);
  }

  dismiss(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.all = this.all.filter((toast) => toast.id !== id);
    // What was removed under the pointer or with the focus tells of neither leaving.
    if (this.all.length === 0) this.#holds.clear();
  }

  #passes(id: number): void {
    clearTimeout(this.#timers.get(id));
    const timer = this.isHeld ? undefined : setTimeout(() => this.dismiss(id), SHOWN_MS);
    this.#timers.set(id, timer);
  }

  #add(kind: Toast['kind'], text: string): number {
    const id = (this.#next += 1);
    const others = this.all.filter((toast) => toast.text !== text);
    this.all = [...others, { id, kind, text }].slice(-AT_ONCE_MAX);
    return id;
  }
}

export const toasts = new Toasts();
