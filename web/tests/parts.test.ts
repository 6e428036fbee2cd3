// @vitest-environment happy-dom
import { createRawSnippet, flushSync, mount, unmount, type Component } from 'svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import DataTable from '../src/view/part/DataTable.svelte';
import Empty from '../src/view/part/Empty.svelte';
import Field from '../src/view/part/Field.svelte';
import HealthBar from '../src/view/HealthBar.svelte';
import Pager from '../src/view/part/Pager.svelte';
import Toasts from '../src/view/part/Toasts.svelte';
import { toasts } from '../src/state/toasts.svelte';

let mounted: Record<string, unknown> | null = null;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- each part has props of its own
function show(part: Component<any>, props: Record<string, unknown> = {}): HTMLElement {
  mounted = mount(part, { target: document.body, props });
  flushSync();
  return document.body;
}

afterEach(() => {
  if (mounted) void unmount(mounted);
  mounted = null;
  document.body.innerHTML = '';
});

const cell = createRawSnippet((row: () => { name: string }, column: () => string) => ({
  render: () =>
    column() === 'name' ? `<a href="/${row().name}">${row().name}</a>` : '<span>7</span>',
}));
const HEADINGS = [
  { column: 'name', label: 'Name' },
  { column: 'loss', label: 'Loss', isNumber: true },
];
const ROWS = [{ name: 'a' }, { name: 'b' }];
const key = (row: { name: string }) => row.name;

describe('a table', () => {
  it('says its order and asks for another one', () => {
    const sort = vi.fn();
    const order = { column: 'loss', descending: true };
    const page = show(DataTable, {
      ...{
        caption: 'Things',
        headings: HEADINGS,
        rows: ROWS,
        key,
        cell,
        order,
        sort,
        empty: 'None',
      },
    });
    const [name, loss] = page.querySelectorAll('thead th');
    expect(loss.getAttribute('aria-sort')).toBe('descending');
    expect(name.hasAttribute('aria-sort')).toBe(false);
    name.querySelector('button')?.click();
    expect(sort).toHaveBeenCalledWith('name');
    expect(page.querySelectorAll('tbody th[scope=row]')).toHaveLength(2);
  });

  it('goes from row to row by arrow keys', () => {
    const page = show(DataTable, {
      ...{ caption: 'Things', headings: HEADINGS, rows: ROWS, key, cell, empty: 'None' },
    });
    const [first, second] = page.querySelectorAll<HTMLElement>('tbody a');
    first.focus();
    first.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true }));
    expect(document.activeElement).toBe(second);
  });

  it('says that it is empty', () => {
    const page = show(DataTable, {
      ...{ caption: 'Things', headings: HEADINGS, rows: [], key, cell, empty: 'None yet.' },
    });
    expect(page.querySelector('tbody')?.textContent).toContain('None yet.');
  });
});

describe('a field', () => {
  const control = createRawSnippet((wiring: () => Record<string, string | undefined>) => ({
    render: () =>
      `<input id="${wiring().id}" aria-describedby="${wiring()['aria-describedby']}" aria-invalid="${wiring()['aria-invalid']}">`,
  }));

  it('ties its label, hint and error to the control', () => {
    const errors = [{ field: 'site', detail: 'Too long.' }];
    const page = show(Field, { label: 'Site', name: 'site', hint: 'Where.', errors, control });
    const input = page.querySelector('input');
    expect(page.querySelector('label')?.getAttribute('for')).toBe(input?.id);
    expect(input?.getAttribute('aria-invalid')).toBe('true');
    const said = input?.getAttribute('aria-describedby')?.split(' ') ?? [];
    expect(said.map((id) => document.getElementById(id)?.textContent)).toEqual([
      'Where.',
      'Too long.',
    ]);
  });
});

describe('small parts', () => {
  it('a pager links to the pages beside the one that is shown', () => {
    const shown = { rows: [], page: 2, pages: 3, first: 11, last: 20 };
    const href = (page: number) => `?page=${page}`;
    const page = show(Pager, { what: 'agents', total: 1_025, shown, href });
    const links = [...page.querySelectorAll('a')].map((a) => a.getAttribute('href'));
    expect(links).toEqual(['?page=1', '?page=3']);
    expect(page.textContent).toContain('11–20 of 1,025 agents');
  });

  it('a bar of colours says the same in words', () => {
    const health = { down: 2, lossy: 0, slow: 0, unknown: 1, ok: 5 };
    const page = show(HealthBar, { health, hasWords: true });
    expect(page.textContent).toContain('2 of 8');
    expect(page.querySelector('.visually-hidden')?.textContent).toBe('2 down, 1 unknown, 5 OK');
  });

  it('an empty state says why', () => {
    expect(show(Empty, { title: 'No rules', text: 'Make one.' }).textContent).toContain(
      'Make one.',
    );
  });

  it('a word of success goes by itself, a failure stays until it is put away', () => {
    vi.useFakeTimers();
    const page = show(Toasts);
    toasts.done('Copied.');
    toasts.failed('Not saved.');
    flushSync();
    expect(page.querySelectorAll('.toast')).toHaveLength(2);
    vi.advanceTimersByTime(10_000);
    flushSync();
    expect(page.querySelector('.toast')?.textContent).toContain('Not saved.');
    page.querySelector('button')?.click();
    flushSync();
    expect(page.querySelectorAll('.toast')).toHaveLength(0);
    vi.useRealTimers();
  });
});
