import { describe, expect, it } from 'vitest';
import type { User } from '../src/api/people';
import { fieldOfCode, isLastAdmin, sayScopes, sayUser, scopesFor } from '../src/model/people';

const NOW = Date.parse('2026-11-23T12:00:00Z');

function user(changes: Partial<User>): User {
  return {
    name: 'ada',
    role: 'viewer',
    disabled: false,
    has_password: true,
    invited_until: null,
    created_at: '2026-11-01T00:00:00Z',
    last_login_at: null,
    ...changes,
  };
}

describe('the state of an account', () => {
  it('says what follows from a link, and that one has run out', () => {
    const later = '2026-11-24T00:00:00Z';
    const before = '2026-11-22T00:00:00Z';
    const word = (changes: Partial<User>) => sayUser(user(changes), NOW).word;
    expect(word({})).toBe('Active');
    expect(word({ has_password: false, invited_until: later })).toBe('Invited');
    expect(word({ has_password: false, invited_until: before })).toBe('No password');
    expect(word({ has_password: false })).toBe('No password');
    expect(word({ disabled: true, invited_until: later })).toBe('Disabled');
    expect(sayUser(user({ invited_until: later }), NOW).more).toContain('a link is good until');
    expect(sayUser(user({ invited_until: before }), NOW).more).toBe('');
  });

  it('knows the last who can administer: an invited or disabled one cannot yet', () => {
    const root = user({ name: 'root', role: 'admin' });
    const invited = user({ name: 'next', role: 'admin', has_password: false });
    const disabled = user({ name: 'old', role: 'admin', disabled: true });
    expect(isLastAdmin(root, [root, invited, disabled])).toBe(true);
    expect(isLastAdmin(invited, [root, invited])).toBe(false);
    expect(isLastAdmin(root, [root, user({ name: 'two', role: 'admin' })])).toBe(false);
  });
});

describe('what a token may', () => {
  it('offers only the scopes that its role can use', () => {
    expect(scopesFor('viewer').map(({ name }) => name)).toEqual(['read']);
    expect(scopesFor('operator').map(({ name }) => name)).toEqual(['read', 'operate']);
    expect(scopesFor('admin')).toHaveLength(5);
  });

  it('says that no scope is no limit', () => {
    expect(sayScopes({ scopes: [] })).toBe('everything its role may');
    expect(sayScopes({ scopes: ['read', 'join'] })).toBe('read, join');
  });
});

it('puts a refusal beside the field that it is about, and no other', () => {
  const refused = { code: 'name_taken', message: 'There is one.' };
  expect(fieldOfCode(refused, { name_taken: 'name' })).toEqual([
    { field: 'name', detail: 'There is one.' },
  ]);
  expect(fieldOfCode({ code: 'busy', message: '' }, { name_taken: 'name' })).toEqual([]);
});
