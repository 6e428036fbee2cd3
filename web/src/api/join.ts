/** The tokens that let hosts into the mesh: which there are, without their secrets. */

import { client, done, result } from './client';
import type { components } from './schema';

export type JoinTokenEntry = components['schemas']['JoinTokenEntry'];

export async function readJoinTokens(): Promise<JoinTokenEntry[]> {
  return (await result(client.GET('/api/v1/join-tokens'))).tokens;
}

export function deleteJoinToken(id: string): Promise<void> {
  return done(client.DELETE('/api/v1/join-tokens/{id}', { params: { path: { id } } }));
}
