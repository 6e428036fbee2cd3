/** What the page behind a link for choosing a password checks by itself, before it asks the aggregator. */

import { plural } from './format';

/** The aggregator's own rule; it has the last word. */
export const PASSWORD_CHARACTERS_MIN = 10;
/** 256 bits in base64url. */
const SECRET = /^[A-Za-z0-9_-]{43}$/;

/**
 * The secret in the fragment of an address, which a browser sends to nobody. Null when the link was not copied whole: asking with
 * half a secret would only count as a guess.
 */
export function secretOf(fragment: string): string | null {
  const secret = fragment.replace(/^#/, '').trim();
  return SECRET.test(secret) ? secret : null;
}

/** Why this cannot be the new password; empty when it can. Characters are counted as people do, not as the machine stores them. */
export function passwordFault(password: string, again: string): string {
  const { length } = [...password];
  // The rule itself stands beside the field.
  if (length < PASSWORD_CHARACTERS_MIN)
    return `That is ${plural(length, 'character')}; ${PASSWORD_CHARACTERS_MIN} are the least.`;
  return password === again ? '' : 'The two passwords differ.';
}
