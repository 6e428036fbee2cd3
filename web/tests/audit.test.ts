import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../src/api/people';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ACTIONS,
  auditQuestion,
  byDay,
  parseAudit,
  placeOf,
  sayActor,
  sayDeed,
  sealOf,
} from '../src/model/audit';

const NOW = Date.parse('2026-11-23T12:00:00Z');

function entry(changes: Partial<Record<keyof AuditEntry, unknown>>): AuditEntry {
  return {
    id: 17,
    at: '2026-11-23T10:00:00Z',
    actor: 'admin',
    actor_kind: 'user',
    address: '192.0.2.10',
    action: 'user.create',
    subject: 'ada',
    outcome: 'ok',
    detail: {},
    hash: 'aa',
    ...changes,
  } as AuditEntry;
}

const say = (changes: Partial<Record<keyof AuditEntry, unknown>>) => {
  const one = entry(changes);
  return `${sayActor(one)} ${sayDeed(one)}`;
};

/** As they stand in the source of the aggregator; names of files look alike. */
const WORDS =
  /"((?:access|agent|alert_rule|api_token|channel|config|incident|invitation|join_token|password|report_schedule|session|setting|silence|user)\.(?!key|toml)[a-z_]+)"/g;

describe('an entry as a sentence', () => {
  it('says what was done', () => {
    expect(say({ detail: { role: 'operator' } })).toBe(
      'admin made the account ada with the role operator',
    );
    expect(say({ action: 'user.change', detail: { role: 'viewer', disabled: true } })).toBe(
      'admin gave ada the role viewer and disabled ada',
    );
    expect(say({ action: 'user.change', detail: { role: null, disabled: false } })).toBe(
      'admin enabled ada',
    );
    expect(
      say({ action: 'api_token.create', subject: 'x', detail: { scopes: [], expires_at: null } }),
    ).toBe('admin made the API token x, for all that its role may, without end');
    expect(
      say({
        action: 'setting.change',
        subject: 'retention',
        detail: { samples_s: 604_800, days_s: 315_360_000 },
      }),
    ).toBe('admin set how long things are kept: windows 7 days, days 10 years');
  });

  it('says what was done about alerts, reports and the configuration', () => {
    const rule = { subject: '4', detail: { name: 'Loss', enabled: false } };
    expect(say({ action: 'alert_rule.create', ...rule })).toBe(
      'admin made the rule 4, “Loss”, disabled',
    );
    expect(
      say({ action: 'channel.test', subject: '1', detail: { name: 'Pager', sent: false } }),
    ).toBe('admin sent a test through the channel 1, “Pager”, which failed');
    expect(say({ action: 'silence.change', subject: '7', detail: { reason: 'new disks' } })).toBe(
      'admin changed the silence 7: “new disks”',
    );
    expect(say({ action: 'incident.acknowledge', subject: 'ab'.repeat(16), detail: null })).toBe(
      'admin acknowledged the incident abababab',
    );
    expect(
      say({ action: 'config.change', subject: 'version 3', detail: { changes: 1, why: 'less' } }),
    ).toBe('admin made version 3 of the configuration, with 1 change: “less”');
    expect(
      say({ action: 'config.rollback', subject: 'version 4', detail: { copy_of: 2, why: '' } }),
    ).toBe('admin went back to version 2 of the configuration, as version 4');
  });

  it('knows every word that the aggregator writes', () => {
    const source = '../aggregator/src';
    const written = readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.rs'))
      .flatMap((name) => [...readFileSync(join(source, name), 'utf8').matchAll(WORDS)])
      .map(([, word]) => word)
      .filter((word) => word !== 'user.createb');
    const actions = [...new Set(written)];
    expect(actions.length).toBeGreaterThan(30);
    for (const action of actions) {
      if (action === 'access.deny') continue;
      expect(say({ action, subject: 'x' }), action).not.toContain('did ');
      expect(ACTIONS.map(({ value }) => value)).toContain(action.split('.')[0]);
    }
  });

  it('leads to what was changed, as long as that can be there', () => {
    const at = (action: string, subject: string) => placeOf(entry({ action, subject }));
    expect(at('alert_rule.change', '4')).toBe('/rules?rule=4');
    expect(at('alert_rule.delete', '4')).toBeNull();
    expect(at('config.rollback', 'version 12')).toBe('/config/versions/12');
    expect(at('session.create', '')).toBeNull();
  });

  it('names those who are no account', () => {
    const agent = { actor: 'ab'.repeat(32), actor_kind: 'agent', action: 'agent.join' };
    expect(say({ ...agent, subject: 'beta-3', detail: { site: 'beta' } })).toBe(
      'The agent beta-3 joined the mesh at beta',
    );
    expect(say({ actor: '', actor_kind: 'program', action: 'user.first', subject: 'admin' })).toBe(
      'The aggregator set up admin, the first administrator',
    );
  });

  it('says a refusal as one', () => {
    expect(say({ action: 'session.create', outcome: 'wrong' })).toBe(
      'admin tried to sign in with a wrong password',
    );
    expect(
      say({ action: 'invitation.redeem', outcome: 'wrong', actor: '', actor_kind: 'nobody' }),
    ).toBe('Somebody not known tried to use a link that is not good');
    expect(
      say({
        actor: 'grafana',
        actor_kind: 'token',
        action: 'access.deny',
        subject: 'GET /api/v1/users',
        outcome: 'denied',
      }),
    ).toBe(
      'The API token grafana was refused GET /api/v1/users, which needs another role or scope',
    );
  });

  it('survives what it does not know', () => {
    expect(say({ action: 'rule.create', subject: 'slow' })).toBe('admin did rule.create to slow');
    expect(say({ detail: null })).toBe('admin made the account ada');
    expect(say({ action: 'join_token.create', detail: 'not JSON' })).toContain('some hosts');
  });
});

describe('the question', () => {
  it('holds only what is asked for', () => {
    const question = (search: string) =>
      auditQuestion(parseAudit(new URLSearchParams(search)), NOW);
    expect(question('')).toEqual({ limit: 50 });
    expect(question('actor=ada&action=user&before=40')).toEqual({
      limit: 50,
      actor: 'ada',
      action: 'user',
      before: 40,
    });
    expect(question('period=24h').from).toBe('2026-11-22T12:00:00.000Z');
    expect(question('before=-1&period=custom&from=2026-11-01&to=2026-11-02')).toEqual({
      limit: 50,
      from: '2026-11-01T00:00:00Z',
      to: '2026-11-03T00:00:00Z',
    });
  });
});

it('puts entries under their days', () => {
  const days = byDay([entry({}), entry({ id: 16 }), entry({ id: 15, at: '2026-11-20T10:00:00Z' })]);
  expect(days.map((day) => day.entries.length)).toEqual([2, 1]);
  expect(sealOf(entry({}))).toBe('17:aa');
});
