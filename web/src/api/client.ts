/** Every request to the aggregator, typed by its OpenAPI document, and one shape for every failure. */

import createClient from 'openapi-fetch';
import { fieldErrors, type FieldError } from '../model/problem';
import type { Range, Series } from '../model/series';
import { decodeSnapshot, type Snapshot } from '../model/wire';
import type { components, paths } from './schema';

export type Agent = components['schemas']['Agent'];
export type Agents = components['schemas']['Agents'];
export type Session = components['schemas']['Session'];
export type JoinToken = components['schemas']['JoinToken'];

const MATRIX_TYPE = 'application/vnd.everypath.matrix';

/** A request that was refused or got no answer (status 0), in words meant for the reader. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterSeconds: number | null = null,
    readonly errors: readonly FieldError[] = [],
  ) {
    super(message);
  }
}

export const client = createClient<paths>({
  baseUrl: location.origin,
  credentials: 'same-origin',
  // A form on another site cannot send a header of its own: this one proves that the page asked.
  headers: { 'X-Everypath-Request': '1' },
  fetch: (request: Request) => answered(fetch(request)),
});

export function readSession(): Promise<Session> {
  return result(client.GET('/api/v1/session'));
}

export function signIn(name: string, password: string): Promise<Session> {
  return result(client.POST('/api/v1/session', { body: { name, password } }));
}

export function redeemInvitation(secret: string, password: string): Promise<Session> {
  return result(client.POST('/api/v1/invitations/redeem', { body: { secret, password } }));
}

export function signOut(): Promise<void> {
  return done(client.DELETE('/api/v1/session'));
}

export function readAgents(): Promise<Agents> {
  return result(client.GET('/api/v1/agents'));
}

export type JoinTokenRequest = components['schemas']['JoinTokenRequest'];

export function createJoinToken(body: JoinTokenRequest): Promise<JoinToken> {
  return result(client.POST('/api/v1/join-tokens', { body }));
}

/** `toMs` is the server's time, so that a reader's wrong clock does not move the picture. */
export function readSeries(
  source: string,
  target: string,
  range: Range,
  toMs: number,
): Promise<Series> {
  const params = { path: { source, target }, query: { range, to: new Date(toMs).toISOString() } };
  return result(client.GET('/api/v1/pairs/{source}/{target}/series', { params }));
}

export async function readMatrix(): Promise<Snapshot> {
  const answer = await client.GET('/api/v1/matrix', {
    headers: { Accept: MATRIX_TYPE },
    parseAs: 'arrayBuffer',
  });
  if (!answer.response.ok) throw problemOf(answer.response, answer.error);
  const snapshot = answer.data ? decodeSnapshot(answer.data) : null;
  if (snapshot) return snapshot;
  throw new ApiProblem(
    0,
    'unreadable',
    'The aggregator sent a matrix that this page cannot read. Reload the page; the aggregator may have been upgraded.',
  );
}

/** Any failure in words for the reader. */
export function messageOf(problem: unknown): string {
  return problem instanceof Error ? problem.message : String(problem);
}

/** What was answered, or the problem thrown. Every function that asks something goes through it. */
export async function result<T>(
  request: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await request;
  if (response.ok && data !== undefined) return data;
  throw problemOf(response, error);
}

/** For what answers without a body. */
export async function done(request: Promise<{ error?: unknown; response: Response }>) {
  const { error, response } = await request;
  if (!response.ok) throw problemOf(response, error);
}

export async function answered(request: Promise<Response>): Promise<Response> {
  try {
    return await request;
  } catch {
    throw new ApiProblem(
      0,
      'no_answer',
      'The aggregator does not answer. It may be restarting, or the network between it and you is down.',
    );
  }
}

function problemOf(response: Response, body: unknown): ApiProblem {
  const { code, detail } = (body ?? {}) as { code?: unknown; detail?: unknown };
  const wait = Number(response.headers.get('Retry-After'));
  return new ApiProblem(
    response.status,
    typeof code === 'string' ? code : 'unexpected',
    typeof detail === 'string' && detail !== '' ? detail : fallback(response.status),
    Number.isFinite(wait) && wait > 0 ? wait : null,
    fieldErrors(body),
  );
}

/** For answers that do not come from the aggregator itself, such as a proxy's error page. */
function fallback(status: number): string {
  if (status === 401) return 'You are not signed in.';
  if (status === 403) return 'Your account may not see this.';
  if (status === 429) return 'Too many requests. Wait a moment and try again.';
  if (status >= 500) return `The aggregator failed to answer (status ${status}). Its log says why.`;
  return `The aggregator refused the request (status ${status}).`;
}
