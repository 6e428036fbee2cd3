/** What the mesh measures: the version in force, making another one, and who runs which. */

import { client, result } from './client';
import type { components } from './schema';

export type MeshConfig = components['schemas']['ConfigText'];
export type ConfigVersion = components['schemas']['ConfigVersion'];
export type ConfigShown = components['schemas']['ConfigShown'];
export type ConfigChanged = components['schemas']['ConfigChanged'];
export type ConfigCost = components['schemas']['ConfigCost'];
export type ConfigAgents = components['schemas']['ConfigAgents'];
export type Change = components['schemas']['Change'];

export function readConfig(): Promise<ConfigShown> {
  return result(client.GET('/api/v1/config'));
}

export function readConfigAgents(): Promise<ConfigAgents> {
  return result(client.GET('/api/v1/config/agents'));
}

export async function readVersions(limit: number, before?: number): Promise<ConfigVersion[]> {
  const params = { query: before === undefined ? { limit } : { limit, before } };
  return (await result(client.GET('/api/v1/config/versions', { params }))).versions;
}

export function readVersion(version: number): Promise<ConfigShown> {
  const params = { path: { version } };
  return result(client.GET('/api/v1/config/versions/{version}', { params }));
}

/** `base` is the version that was read: the aggregator refuses when another one is in force by now. */
export interface Wish {
  base: number;
  why: string;
  isDryRun: boolean;
}

export function setConfig(config: MeshConfig, wish: Wish): Promise<ConfigChanged> {
  const body = { config, why: wish.why };
  return result(client.PUT('/api/v1/config', { params: conditions(wish), body }));
}

export function rollBack(version: number, wish: Wish): Promise<ConfigChanged> {
  const params = { path: { version }, ...conditions(wish) };
  const body = { why: wish.why };
  return result(client.POST('/api/v1/config/versions/{version}/rollback', { params, body }));
}

function conditions({ base, isDryRun }: Wish) {
  return { query: { dry_run: isDryRun }, header: { 'If-Match': `"${base}"` } };
}
