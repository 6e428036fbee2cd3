/** What the aggregator says of itself. */

import { answered, client, result } from './client';
import type { components } from './schema';

export type Retention = components['schemas']['RetentionSetting'];
export type SystemStatus = components['schemas']['SystemStatus'];

export function readRetention(): Promise<Retention> {
  return result(client.GET('/api/v1/settings/retention'));
}

export function setRetention(body: Retention): Promise<Retention> {
  return result(client.PUT('/api/v1/settings/retention', { body }));
}

export interface Health {
  /** The database answers and took the last write. */
  isHealthy: boolean;
  /** Healthy, and the process was not asked to end. */
  isReady: boolean;
  /** How long the slower of the two answers took to reach this browser. */
  millis: number;
}

/** Throws when nobody answers; an answer that says "no" is an answer. */
export async function readHealth(): Promise<Health> {
  const began = performance.now();
  const [healthy, ready] = await Promise.all(['/healthz', '/readyz'].map(says));
  return { isHealthy: healthy, isReady: ready, millis: performance.now() - began };
}

async function says(path: string): Promise<boolean> {
  return (await answered(fetch(path, { cache: 'no-store' }))).ok;
}

/** What the aggregator that answers knows of itself and of the others. */
export function readSystem(): Promise<SystemStatus> {
  return result(client.GET('/api/v1/system'));
}
