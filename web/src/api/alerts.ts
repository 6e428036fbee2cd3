/** Incidents, rules, silences and channels. */

import { ApiProblem, client, done, result } from './client';
import type { components } from './schema';

export type Incident = components['schemas']['Incident'];
export type Incidents = components['schemas']['Incidents'];
export type AlertRule = components['schemas']['AlertRule'];
export type RuleBody = components['schemas']['RuleBody'];
export type Condition = components['schemas']['ConditionBody'];
export type Scope = components['schemas']['ScopeBody'];
export type Selector = components['schemas']['SelectorBody'];
export type Silence = components['schemas']['Silence'];
export type SilenceBody = components['schemas']['SilenceBody'];
export type Channel = components['schemas']['Channel'];
export type ChannelBody = components['schemas']['ChannelBody'];
export type ChannelTarget = components['schemas']['Settings'];
export type MailSettings = components['schemas']['MailSettings'];
export type Delivery = components['schemas']['Delivery'];
export type Deliveries = components['schemas']['Deliveries'];
export type TestResult = components['schemas']['TestResult'];

export interface IncidentQuestion {
  state?: string;
  severity?: string;
  class?: string;
  limit?: number;
  cursor?: string;
}

/** The most that one answer holds. */
export const LIMIT_MAX = 500;

export function readIncidents(query: IncidentQuestion): Promise<Incidents> {
  return result(client.GET('/api/v1/incidents', { params: { query } }));
}

/** `null` when there is none of this name. */
export async function readIncident(id: string): Promise<Incident | null> {
  try {
    return await result(client.GET('/api/v1/incidents/{id}', { params: { path: { id } } }));
  } catch (problem) {
    if (problem instanceof ApiProblem && problem.status === 404) return null;
    throw problem;
  }
}

export function acknowledge(id: string, note: string): Promise<Incident> {
  const params = { path: { id } };
  return placed(
    result(client.PUT('/api/v1/incidents/{id}/acknowledgement', { params, body: { note } })),
  );
}

export function takeBack(id: string): Promise<void> {
  const params = { path: { id } };
  return done(client.DELETE('/api/v1/incidents/{id}/acknowledgement', { params }));
}

export async function readRules(): Promise<AlertRule[]> {
  return (await result(client.GET('/api/v1/alert-rules'))).rules;
}

export function saveRule(replaced: AlertRule | null, rule: RuleBody): Promise<AlertRule> {
  if (!replaced) return placed(result(client.POST('/api/v1/alert-rules', { body: rule })));
  const { id, version } = replaced;
  const options = { params: { path: { id } }, body: { version, rule } };
  return placed(result(client.PUT('/api/v1/alert-rules/{id}', options)));
}

export function deleteRule(id: number): Promise<void> {
  return done(client.DELETE('/api/v1/alert-rules/{id}', { params: { path: { id } } }));
}

export async function readSilences(): Promise<Silence[]> {
  return (await result(client.GET('/api/v1/silences'))).silences;
}

export function saveSilence(replaced: Silence | null, silence: SilenceBody): Promise<Silence> {
  if (!replaced) return placed(result(client.POST('/api/v1/silences', { body: silence })));
  const { id, version } = replaced;
  const options = { params: { path: { id } }, body: { version, silence } };
  return placed(result(client.PUT('/api/v1/silences/{id}', options)));
}

export function deleteSilence(id: number): Promise<void> {
  return done(client.DELETE('/api/v1/silences/{id}', { params: { path: { id } } }));
}

export async function readChannels(): Promise<Channel[]> {
  return (await result(client.GET('/api/v1/channels'))).channels;
}

export function saveChannel(replaced: Channel | null, channel: ChannelBody): Promise<Channel> {
  if (!replaced) return placed(result(client.POST('/api/v1/channels', { body: channel })));
  const { id, version } = replaced;
  const options = { params: { path: { id } }, body: { version, channel } };
  return placed(result(client.PUT('/api/v1/channels/{id}', options)));
}

export function deleteChannel(id: number): Promise<void> {
  return done(client.DELETE('/api/v1/channels/{id}', { params: { path: { id } } }));
}

export function testChannel(id: number): Promise<TestResult> {
  return result(client.POST('/api/v1/channels/{id}/test', { params: { path: { id } } }));
}

export function readDeliveries(
  id: number,
  query: { limit?: number; cursor?: number },
): Promise<Deliveries> {
  const params = { path: { id }, query };
  return result(client.GET('/api/v1/channels/{id}/deliveries', { params }));
}

/** That a name is taken is no fault of the request, and belongs beside the name all the same. */
async function placed<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (problem) {
    if (!(problem instanceof ApiProblem) || problem.code !== 'name_taken') throw problem;
    const { status, code, message, retryAfterSeconds } = problem;
    throw new ApiProblem(status, code, message, retryAfterSeconds, [
      { field: 'name', detail: message },
    ]);
  }
}
