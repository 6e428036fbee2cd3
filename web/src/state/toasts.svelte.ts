/** Short words about something that was just done. What stays true belongs on the page itself. */

export interface Toast {
  id: number;
  kind: 'done' | 'failed';
  text: string;
}

/** Long enough to read two lines twice; a failure stays until it is put away. */
const SHOWN_MS = 6_000;
/** More than this at once would cover the page; the oldest goes. */
const AT_ONCE_MAX = 3;

class Toasts {
  all = $state<Toast[]>([]);
  #next = 0;

  done(text: string): void {
    const id = this.#add('done', text);
    setTimeout(() => this.dismiss(id), SHOWN_MS);
  }

  failed(text: string): void {
    this.#add('failed', text);
  }

  dismiss(id: number): void {
    this.all = this.all.filter((toast) => toast.id !== id);
  }

  #add(kind: Toast['kind'], text: string): number {
    const id = (this.#next += 1);
    const others = this.all.filter((toast) => toast.text !== text);
    this.all = [...others, { id, kind, text }].slice(-AT_ONCE_MAX);
    return id;
  }
}

export const toasts = new Toasts();
