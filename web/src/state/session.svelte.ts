/** Who is signed in. */

import {
  ApiProblem,
  readSession,
  redeemInvitation,
  signIn,
  signOut,
  type Session,
} from '../api/client';
import { address, safeReturn } from './url.svelte';

export type SessionPhase = 'checking' | 'signed-in' | 'signed-out' | 'failed';

class SessionState {
  phase = $state<SessionPhase>('checking');
  user = $state<Session | null>(null);
  /** True when a session that existed has ended, which deserves a word on the login page. */
  ended = $state(false);
  message = $state('');

  async check(): Promise<void> {
    this.phase = 'checking';
    try {
      this.#enter(await readSession());
    } catch (problem) {
      if (problem instanceof ApiProblem && problem.status === 401) this.phase = 'signed-out';
      else {
        this.message = problem instanceof Error ? problem.message : String(problem);
        this.phase = 'failed';
      }
    }
  }

  /** Throws the problem when refused: the form shows it. */
  async signIn(name: string, password: string): Promise<void> {
    this.#enter(await signIn(name, password));
    address.replace(safeReturn(new URLSearchParams(address.search).get('next')));
  }

  /** Chooses a password with the secret of a link, which is good once. Throws the problem when refused. */
  async accept(secret: string, password: string): Promise<void> {
    this.#enter(await redeemInvitation(secret, password));
    // Over the address with the secret, so that "back" does not show it.
    address.replace('/');
  }

  async signOut(): Promise<void> {
    await signOut();
    this.#leave(false);
  }

  expire(): void {
    if (this.phase === 'signed-in') this.#leave(true);
  }

  #enter(user: Session): void {
    this.user = user;
    this.phase = 'signed-in';
    this.ended = false;
  }

  #leave(ended: boolean): void {
    this.user = null;
    this.ended = ended;
    this.phase = 'signed-out';
  }
}

export const session = new SessionState();
