/** The configuration as text: read with everything that is wrong at once, and each place with its line. */

import type { MeshConfig } from '../api/config';
import { USUAL } from './config';
import type { FieldError } from './problem';

export interface ReadText {
  config: MeshConfig | null;
  faults: FieldError[];
}

type Shape = 'text' | 'number' | 'texts' | { [key: string]: Shape } | [{ [key: string]: Shape }];

/** The form of the document. Limits are the aggregator's to check. */
const SHAPE: { [key: string]: Shape } = {
  probe: { interval: 'text', timeout: 'text' },
  window: 'text',
  cells: {
    down_after_losses: 'number',
    up_after_replies: 'number',
    lossy_after_losses: 'number',
    slow_margin: 'text',
    stale_after_intervals: 'number',
  },
  endpoints: [{ name: 'text', address: 'text', observers: 'texts' }],
  agents: [{ agent: 'text', site: 'text', tags: 'texts' }],
  exclude: [{ between: 'texts' }],
};

export function writeText(config: MeshConfig): string {
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** What is left out is the usual, as the aggregator reads it. */
export function readText(text: string): ReadText {
  let value: unknown;
  try {
    value = text.trim() === '' ? {} : JSON.parse(text);
  } catch (error) {
    return { config: null, faults: [{ field: '', detail: saySyntax(error, text) }] };
  }
  const faults: FieldError[] = [];
  check('', value, SHAPE, faults);
  if (faults.length > 0) return { config: null, faults };
  const given = value as Partial<MeshConfig>;
  const config: MeshConfig = {
    ...structuredClone(USUAL),
    ...given,
    probe: { ...USUAL.probe, ...given.probe },
    cells: { ...USUAL.cells, ...given.cells },
  };
  return { config, faults };
}

function check(path: string, value: unknown, shape: Shape, faults: FieldError[]): void {
  const fault = (detail: string) => void faults.push({ field: path, detail });
  if (shape === 'text') {
    const isLeftOut = value === null && path.endsWith('.site');
    if (typeof value !== 'string' && !isLeftOut) fault('Must be text in quotes.');
  } else if (shape === 'number') {
    if (!Number.isInteger(value) || (value as number) < 0) fault('Must be a whole number.');
  } else if (shape === 'texts') {
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
      fault('Must be a list of texts, as ["all"].');
  } else if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return fault('Must be a list.');
    value.forEach((item, at) => check(`${path}[${at}]`, item, shape[0], faults));
  } else {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return fault('Must be an object in braces.');
    for (const [key, item] of Object.entries(value)) {
      const inner = path === '' ? key : `${path}.${key}`;
      if (Object.hasOwn(shape, key)) check(inner, item, shape[key], faults);
      else
        faults.push({ field: inner, detail: `There is no such key; here are ${sayKeys(shape)}.` });
    }
  }
}

function sayKeys(shape: object): string {
  return Object.keys(shape).join(', ');
}

/** Browsers say where in their own words; the line is what a reader looks for. */
function saySyntax(error: unknown, text: string): string {
  const message = error instanceof Error ? error.message : String(error);
  const position = Number(/position (\d+)/.exec(message)?.[1] ?? NaN);
  if (Number.isNaN(position)) return `This is not JSON: ${message}.`;
  const before = text.slice(0, position).split('\n');
  const plain = message.replace(/,? ?(in JSON )?at position .*$/, '').replace(/ in JSON$/, '');
  return `This is not JSON: ${plain}, in line ${before.length}, column ${(before.at(-1) ?? '').length + 1}.`;
}

/** Where in the text each value begins: "endpoints[0].address" and its line, counted from 1. Empty for what is not JSON. */
export function linesOf(text: string): Map<string, number> {
  try {
    JSON.parse(text);
  } catch {
    return new Map();
  }
  const scanner = new Scanner(text);
  scanner.value('');
  return scanner.lines;
}

/** Walks over text that is known to be JSON. */
class Scanner {
  readonly lines = new Map<string, number>();
  #at = 0;
  #line = 1;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  value(path: string): void {
    this.#skip();
    this.lines.set(path, this.#line);
    const first = this.#text[this.#at];
    if (first === '{') this.#members(path);
    else if (first === '[') this.#items(path);
    else if (first === '"') this.#string();
    else while (/[^\s,\]}]/.test(this.#text[this.#at] ?? ' ')) this.#at += 1;
    this.#skip();
  }

  #members(path: string): void {
    while (this.#next('}')) {
      const key = this.#string();
      this.#skip();
      this.#at += 1;
      this.value(path === '' ? key : `${path}.${key}`);
    }
  }

  #items(path: string): void {
    for (let index = 0; this.#next(']'); index += 1) this.value(`${path}[${index}]`);
  }

  /** Steps over what opens, divides or closes; false at the end. */
  #next(end: string): boolean {
    if (this.#text[this.#at] !== end) {
      this.#at += 1;
      this.#skip();
    }
    if (this.#text[this.#at] !== end) return true;
    this.#at += 1;
    return false;
  }

  #string(): string {
    const start = this.#at;
    this.#at += 1;
    while (this.#text[this.#at] !== '"') this.#at += this.#text[this.#at] === '\\' ? 2 : 1;
    this.#at += 1;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? 'x')) {
      if (this.#text[this.#at] === '\n') this.#line += 1;
      this.#at += 1;
    }
  }
}

/** The line of a place, or of the nearest thing around it that is in the text. */
export function lineOf(lines: ReadonlyMap<string, number>, path: string): number | null {
  for (let place = path; ; place = place.replace(/(\.?[^.[\]]+|\[\d*\])$/, '')) {
    const line = lines.get(place);
    if (line !== undefined || place === '') return line ?? null;
  }
}
