/** A request as somebody tries it on the page of the API, and the same for a terminal. */

import type { Operation } from './openapi';

export type Values = Readonly<Record<string, string>>;

export interface Attempt {
  path: string;
  method: string;
  headers: Record<string, string>;
  body: string | null;
}

/** Why this cannot be tried from a page; empty when it can. */
export function whyNot(operation: Operation): string {
  if (operation.body?.isBinary)
    return 'Agents send this, packed and signed with a key that no page has.';
  if (operation.answers.some(({ status }) => status === '101'))
    return 'This opens a WebSocket. The dashboard has one open already; the live protocol is in the reference.';
  return '';
}

export function changesSomething({ method }: Operation): boolean {
  return method !== 'GET';
}

/** Names of the parameters that are missing. Without one of the path another route would answer. */
export function missing(operation: Operation, values: Values): string[] {
  return operation.parameters
    .filter(({ name, isRequired }) => isRequired && !values[name]?.trim())
    .map(({ name }) => name);
}

export function attemptOf(operation: Operation, values: Values, body: string): Attempt {
  let path = operation.path;
  const query = new URLSearchParams();
  for (const { name, place } of operation.parameters) {
    const value = values[name]?.trim() ?? '';
    if (place === 'path') path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (value !== '') query.set(name, value);
  }
  const headers: Record<string, string> = { Accept: acceptOf(operation) };
  if (operation.body) headers['Content-Type'] = operation.body.type;
  if (changesSomething(operation)) headers['X-Everypath-Request'] = '1';
  const search = query.toString();
  return {
    path: search === '' ? path : `${path}?${search}`,
    method: operation.method,
    headers,
    body: operation.body ? body : null,
  };
}

/** Text where there is a choice: the other forms are for programs. */
function acceptOf({ answers }: Operation): string {
  const types = answers.find(({ status }) => status.startsWith('2'))?.types ?? [];
  return types.find((type) => type.endsWith('json')) ?? types[0] ?? '*/*';
}

/** With a token in place of the session, which a terminal does not have. */
export function curlOf(attempt: Attempt, origin: string, isPublic: boolean): string {
  const parts = [`curl ${quoted(origin + attempt.path)}`];
  if (attempt.method !== 'GET') parts.push(`-X ${attempt.method}`);
  if (!isPublic) parts.push('-H "Authorization: Bearer $TOKEN"');
  const { 'Content-Type': type, Accept: accept } = attempt.headers;
  if (accept && accept !== '*/*') parts.push(`-H ${quoted(`Accept: ${accept}`)}`);
  if (type) parts.push(`-H ${quoted(`Content-Type: ${type}`)}`);
  if (attempt.body !== null) parts.push(`-d ${quoted(attempt.body)}`);
  return parts.join(' \\\n  ');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** As much as a page shows without becoming slow; a report of a large mesh has many megabytes. */
const SHOWN_MAX = 20_000;

export function shownBody(text: string, type: string): { text: string; isCut: boolean } {
  const whole = /[/+]json/.test(type) ? pretty(text) : text;
  return { text: whole.slice(0, SHOWN_MAX), isCut: whole.length > SHOWN_MAX };
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
