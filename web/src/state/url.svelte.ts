/** The address bar as reactive state, and the few verbs that change it. */

class Address {
  path = $state(location.pathname);
  search = $state(location.search);

  constructor() {
    window.addEventListener('popstate', () => this.#read());
  }

  /** A step that "back" undoes. */
  go(to: string): void {
    history.pushState(null, '', to);
    this.#read();
  }

  /** For what changes too often to be a step of its own, such as typing into a filter. */
  replace(to: string): void {
    history.replaceState(null, '', to);
    this.#read();
  }

  #read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }
}

export const address = new Address();

/** Turns clicks on links of this page into steps; everything else stays with the browser. */
export function followLinks(event: MouseEvent): void {
  const anchor = event.target instanceof Element ? event.target.closest('a') : null;
  if (!anchor || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (anchor.origin !== location.origin || anchor.target !== '' || anchor.hash !== '') return;
  if (anchor.pathname.startsWith('/api/')) return;
  event.preventDefault();
  address.go(anchor.pathname + anchor.search);
}

/** Where to go after signing in: only a path of this page, never another host. */
export function safeReturn(next: string | null): string {
  const isOwnPath = next !== null && /^\/(?![/\\])/.test(next) && !next.startsWith('/login');
  return isOwnPath ? next : '/';
}
