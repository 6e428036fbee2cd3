/** A mesh of three, and incidents in it, for the tests of alerts. */

import type { Incident } from '../src/api/alerts';
import { nameOfKey } from '../src/model/scope';

export const NOW = Date.parse('2026-11-23T12:00:00Z');
export const before = (minutes: number) => new Date(NOW - minutes * 60_000).toISOString();
export const AGENTS = [
  { index: 0, id: 'a'.repeat(64), name: 'alpha-1', site: 'alpha' },
  { index: 1, id: 'b'.repeat(64), name: 'alpha-2', site: 'alpha' },
  { index: 2, id: 'c'.repeat(64), name: 'beta-1', site: 'beta' },
];
export const nameOf = nameOfKey(AGENTS);
export const NOBODY = { sites: [], tags: [], agents: [] };

export function incident(changes: Partial<Incident>): Incident {
  return {
    ...{ id: '0', state: 'open', severity: 'warning', class: 'host_down', title: '', evidence: '' },
    ...{ notes: [], subject: 'agent', agents: [], sites: [], since: before(10) },
    ...{ opened_at: before(10), first_opened_at: before(10), last_seen_at: before(0) },
    ...{ ended_at: null, ending: null, duration_s: 600 },
    ...{ merged_into: null, flaps: 0, is_flapping: false, is_ambiguous: false },
    ...{ is_silenced: false, rules: [], silences: [], aliases: [], acknowledgement: null },
    history: [],
    ...changes,
  };
}
