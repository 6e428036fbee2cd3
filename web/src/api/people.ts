/** Accounts, API tokens, and the log of who did what. */

import type { AuditQuestion } from '../model/audit';
import { client, done, result } from './client';
import type { components } from './schema';

export type User = components['schemas']['User'];
export type UserPatch = components['schemas']['UserPatch'];
export type InvitationLink = components['schemas']['InvitationLink'];
export type ApiToken = components['schemas']['ApiToken'];
export type ApiTokenSecret = components['schemas']['ApiTokenSecret'];
export type NewApiToken = components['schemas']['NewApiToken'];
export type AuditEntry = components['schemas']['AuditEntry'];
export type AuditPage = components['schemas']['AuditPage'];

export async function readUsers(): Promise<User[]> {
  return (await result(client.GET('/api/v1/users'))).users;
}

export function createUser(name: string, role: string): Promise<InvitationLink> {
  return result(client.POST('/api/v1/users', { body: { name, role } }));
}

export function changeUser(name: string, body: UserPatch): Promise<User> {
  return result(client.PATCH('/api/v1/users/{name}', { params: { path: { name } }, body }));
}

export function deleteUser(name: string): Promise<void> {
  return done(client.DELETE('/api/v1/users/{name}', { params: { path: { name } } }));
}

export function inviteUser(name: string): Promise<InvitationLink> {
  return result(client.POST('/api/v1/users/{name}/invitation', { params: { path: { name } } }));
}

export async function readApiTokens(): Promise<ApiToken[]> {
  return (await result(client.GET('/api/v1/api-tokens'))).tokens;
}

export function createApiToken(body: NewApiToken): Promise<ApiTokenSecret> {
  return result(client.POST('/api/v1/api-tokens', { body }));
}

export function deleteApiToken(name: string): Promise<void> {
  return done(client.DELETE('/api/v1/api-tokens/{name}', { params: { path: { name } } }));
}

export function changePassword(old: string, wanted: string): Promise<void> {
  return done(client.PUT('/api/v1/session/password', { body: { old, new: wanted } }));
}

export function readAudit(query: AuditQuestion): Promise<AuditPage> {
  return result(client.GET('/api/v1/audit', { params: { query } }));
}
