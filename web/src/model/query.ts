/** The URL is the state: what a link must carry so that a colleague sees the same picture. */

import { parseStates, type Filter } from './filter';
import { LENSES, type Lens } from './lens';
import { SORTS, type Sort } from './order';
import { COLUMNS, DEFAULT_ORDER, type RowOrder } from './rows';

export const VIEWS = ['grid', 'list'] as const;
export type View = (typeof VIEWS)[number];

export interface PairName {
  source: string;
  target: string;
}

export interface MatrixQuery {
  view: View;
  lens: Lens;
  sort: Sort;
  filter: Filter;
  order: RowOrder;
  pair: PairName | null;
}

/** Cannot be part of an agent's name, and needs no escaping in a URL. */
const PAIR_SEPARATOR = '~';

export function parseQuery(params: URLSearchParams): MatrixQuery {
  return {
    view: oneOf(VIEWS, params.get('view')),
    lens: oneOf(LENSES, params.get('lens')),
    sort: oneOf(SORTS, params.get('sort')),
    filter: { text: params.get('q') ?? '', states: parseStates(params.get('state') ?? '') },
    order: parseOrder(params.get('order')),
    pair: parsePair(params.get('pair')),
  };
}

/** Defaults are left out, so that an untouched page has a bare address. */
export function formatQuery(query: MatrixQuery): string {
  const params = new URLSearchParams();
  if (query.view !== VIEWS[0]) params.set('view', query.view);
  if (query.lens !== LENSES[0]) params.set('lens', query.lens);
  if (query.sort !== SORTS[0]) params.set('sort', query.sort);
  if (query.filter.text !== '') params.set('q', query.filter.text);
  if (query.filter.states.length > 0) params.set('state', query.filter.states.join(','));
  if (!isDefault(query.order)) params.set('order', orderText(query.order));
  if (query.pair) params.set('pair', query.pair.source + PAIR_SEPARATOR + query.pair.target);
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** Anything else than a known word means the default: an old link must open, not fail. */
function oneOf<T extends string>(words: readonly T[], text: string | null): T {
  return words.find((word) => word === text) ?? words[0];
}

function parseOrder(text: string | null): RowOrder {
  const descending = text?.startsWith('-') ?? false;
  const column = COLUMNS.find((name) => name === text?.replace(/^-/, ''));
  return column ? { column, descending } : DEFAULT_ORDER;
}

function orderText(order: RowOrder): string {
  return (order.descending ? '-' : '') + order.column;
}

function isDefault(order: RowOrder): boolean {
  return order.column === DEFAULT_ORDER.column && order.descending === DEFAULT_ORDER.descending;
}

function parsePair(text: string | null): PairName | null {
  const [source, target, ...rest] = text?.split(PAIR_SEPARATOR) ?? [];
  return source && target && rest.length === 0 ? { source, target } : null;
}
