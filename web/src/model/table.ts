/** What every sortable, paged table shares: its order and page in the address, and the arithmetic of pages. */

export interface Order<Column extends string = string> {
  column: Column;
  descending: boolean;
}

/** "-loss" is loss, descending. Anything that is not a known column means the fallback. */
export function parseOrder<Column extends string>(
  text: string | null,
  columns: readonly Column[],
  fallback: Order<Column>,
): Order<Column> {
  const column = columns.find((name) => name === text?.replace(/^-/, ''));
  return column ? { column, descending: text?.startsWith('-') ?? false } : fallback;
}

/** `null` for the fallback, which needs no place in the address. */
export function formatOrder(order: Order, fallback: Order): string | null {
  const isDefault = order.column === fallback.column && order.descending === fallback.descending;
  return isDefault ? null : (order.descending ? '-' : '') + order.column;
}

/** A press on the column in use turns it around; another one begins with the end that is asked for most. */
export function nextOrder<Column extends string>(
  order: Order<Column>,
  column: Column,
  startsDescending: boolean,
): Order<Column> {
  const descending = order.column === column ? !order.descending : startsDescending;
  return { column, descending };
}

export interface PageOf<Row> {
  rows: Row[];
  page: number;
  pages: number;
  /** Of the first and last row shown, counted from 1; both 0 when there is none. */
  first: number;
  last: number;
}

export function pageOf<Row>(all: Row[], wanted: number, size: number): PageOf<Row> {
  const pages = Math.max(1, Math.ceil(all.length / size));
  const page = Math.min(pages, Math.max(1, Math.floor(wanted) || 1));
  const start = (page - 1) * size;
  const rows = all.slice(start, start + size);
  return {
    rows,
    page,
    pages,
    first: rows.length === 0 ? 0 : start + 1,
    last: start + rows.length,
  };
}

/** The address of the same page with some parameters changed; `null` and '' take one out. */
export function withParams(search: string, changes: Record<string, string | null>): string {
  const params = new URLSearchParams(search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') params.delete(name);
    else params.set(name, value);
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}
