/** The description of the API, and requests as the reader of it makes them. */

import type { Attempt } from '../model/attempt';
import { describe, type Described } from '../model/openapi';
import { answered, client, result } from './client';

export async function readDocument(): Promise<Described> {
  return describe(await result<unknown>(client.GET('/api/v1/openapi.json')));
}

export interface Tried {
  status: number;
  words: string;
  type: string;
  text: string;
  bytes: number;
  millis: number;
}

/** As the reader, with the cookie of this session: nothing here is a rehearsal. */
export async function tryOut({ path, method, headers, body }: Attempt): Promise<Tried> {
  const began = performance.now();
  const response = await answered(fetch(path, { method, headers, body, cache: 'no-store' }));
  const bytes = await response.arrayBuffer();
  return {
    status: response.status,
    words: response.statusText,
    type: response.headers.get('Content-Type') ?? '',
    text: new TextDecoder().decode(bytes),
    bytes: bytes.byteLength,
    millis: performance.now() - began,
  };
}
