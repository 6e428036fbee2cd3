/** Accounts and API tokens in words, and what a form about them checks before it asks. */

import type { ApiToken, User } from '../api/people';
import type { FieldError } from './problem';
import { permits, ROLES, type Role } from './role';
import { formatMoment } from './time';

/** What the aggregator accepts as the name of an account or a token. */
export const NAME_PATTERN = '[A-Za-z0-9\\-_.@+]{1,64}';
export const NAME_RULE = '1 to 64 letters, digits, - _ . @ or +';

export const ROLE_MAY: Record<Role, string> = {
  viewer: 'Looks at everything that is measured',
  operator: 'Also changes what is measured and answers alerts',
  admin: 'Everything: accounts, tokens, settings, the audit log',
};

export type UserState = 'active' | 'invited' | 'without-link' | 'disabled';

export function userState(user: User, now: number): UserState {
  if (user.disabled) return 'disabled';
  if (user.has_password) return 'active';
  return hasLink(user, now) ? 'invited' : 'without-link';
}

export function hasLink({ invited_until }: User, now: number): boolean {
  return invited_until !== null && Date.parse(invited_until) > now;
}

/** The state, and what follows from it where something does. */
export function sayUser(user: User, now: number): { word: string; more: string } {
  const until = hasLink(user, now) ? `until ${formatMoment(user.invited_until ?? '')}` : '';
  switch (userState(user, now)) {
    case 'disabled':
      return { word: 'Disabled', more: '' };
    case 'active':
      return { word: 'Active', more: until && `a link is good ${until}` };
    case 'invited':
      return { word: 'Invited', more: until };
    case 'without-link':
      return { word: 'No password', more: 'the link has run out' };
  }
}

/** Whether nobody could administer if this account were gone. The aggregator refuses then; the page says it before. */
export function isLastAdmin(user: User, users: readonly User[]): boolean {
  const canAdminister = ({ role, disabled, has_password }: User) =>
    role === 'admin' && !disabled && has_password;
  return canAdminister(user) && users.filter(canAdminister).length === 1;
}

export interface Scope {
  name: string;
  may: string;
  /** Of lesser roles it gives nothing, for a token needs the role and the scope. */
  needs: Role;
}

export const SCOPES: readonly Scope[] = [
  { name: 'read', may: 'look at what is measured', needs: 'viewer' },
  { name: 'operate', may: 'answer alerts, change rules and silences', needs: 'operator' },
  { name: 'config', may: 'change what is measured, settings and channels', needs: 'admin' },
  {
    name: 'people',
    may: 'other accounts than administrators’, tokens, the audit log',
    needs: 'admin',
  },
  { name: 'join', may: 'make join tokens', needs: 'admin' },
];

export function scopesFor(role: Role): Scope[] {
  return SCOPES.filter(({ needs }) => permits(role, needs));
}

const DAY = 86_400;

export const LIVES: readonly { label: string; seconds: number | null }[] = [
  { label: '7 days', seconds: 7 * DAY },
  { label: '30 days', seconds: 30 * DAY },
  { label: '90 days', seconds: 90 * DAY },
  { label: '1 year', seconds: 365 * DAY },
  { label: 'No end', seconds: null },
];

export function sayScopes(token: Pick<ApiToken, 'scopes'>): string {
  return token.scopes.length === 0 ? 'everything its role may' : token.scopes.join(', ');
}

/** A code of the aggregator that is about one field of the form belongs beside it. */
export function fieldOfCode(
  problem: { code: string; message: string },
  fields: Readonly<Record<string, string>>,
): FieldError[] {
  const field = fields[problem.code];
  return field === undefined ? [] : [{ field, detail: problem.message }];
}

export function roleOf(text: string): Role {
  return ROLES.find((role) => role === text) ?? 'viewer';
}
