/** Light or dark: the system's choice until the reader makes one. */

export type Theme = 'light' | 'dark';

const KEY = 'everypath-theme';

class ThemeState {
  #system = window.matchMedia('(prefers-color-scheme: dark)');
  current = $state<Theme>('light');

  constructor() {
    this.#apply();
    this.#system.addEventListener('change', () => this.#apply());
  }

  toggle(): void {
    const next: Theme = this.current === 'dark' ? 'light' : 'dark';
    // Choosing what the system says anyway means following it again.
    if (next === this.#systemTheme()) remember(null);
    else remember(next);
    this.#apply();
  }

  #apply(): void {
    this.current = remembered() ?? this.#systemTheme();
    document.documentElement.dataset.theme = this.current;
  }

  #systemTheme(): Theme {
    return this.#system.matches ? 'dark' : 'light';
  }
}

/** Storage is refused in some private windows; the theme then lasts as long as the page. */
let fallback: Theme | null = null;

function remembered(): Theme | null {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'light' || stored === 'dark' ? stored : null;
  } catch {
    return fallback;
  }
}

function remember(theme: Theme | null): void {
  fallback = theme;
  try {
    if (theme) localStorage.setItem(KEY, theme);
    else localStorage.removeItem(KEY);
  } catch {
    fallback = theme;
  }
}

export const theme = new ThemeState();
