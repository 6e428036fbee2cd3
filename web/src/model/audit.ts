/** The audit log: its question in the address, and each entry as a sentence. */

import type { AuditEntry } from '../api/people';
import { plural } from './format';
import { boundsOf, parsePeriod, type Period, type Wanted } from './period';
import { sayPeriod } from './retention';
import { formatMoment } from './time';

export interface AuditQuestion {
  before?: number;
  limit?: number;
  actor?: string;
  action?: string;
  from?: string;
  to?: string;
}

export interface AuditView {
  actor: string;
  action: string;
  /** `null` is the whole log. */
  wanted: Wanted | null;
  before: number | null;
}

export const ENTRIES_A_PAGE = 50;

/** What can be asked for; a kind stands before its own. The address may hold another one, from a newer aggregator. */
export const ACTIONS: readonly { value: string; label: string }[] = [
  { value: '', label: 'Everything' },
  { value: 'session', label: 'Signing in and out' },
  { value: 'user', label: 'Accounts' },
  { value: 'invitation', label: 'Links used' },
  { value: 'password', label: 'Passwords' },
  { value: 'api_token', label: 'API tokens' },
  { value: 'join_token', label: 'Join tokens' },
  { value: 'agent', label: 'Agents that joined' },
  { value: 'config', label: 'Configuration' },
  { value: 'incident', label: 'Incidents answered' },
  { value: 'alert_rule', label: 'Rules' },
  { value: 'silence', label: 'Silences' },
  { value: 'channel', label: 'Channels' },
  { value: 'report_schedule', label: 'Reports by mail' },
  { value: 'setting', label: 'Settings' },
  { value: 'access', label: 'Refusals' },
];

export function parseAudit(params: URLSearchParams): AuditView {
  const before = Number(params.get('before'));
  return {
    actor: params.get('actor') ?? '',
    action: params.get('action') ?? '',
    wanted: params.has('period') ? parsePeriod(params, '24h') : null,
    before: Number.isSafeInteger(before) && before > 0 ? before : null,
  };
}

export function isFiltered({ actor, action, wanted }: AuditView): boolean {
  return actor !== '' || action !== '' || wanted !== null;
}

export function auditQuestion(view: AuditView, now: number): AuditQuestion {
  const question: AuditQuestion = { limit: ENTRIES_A_PAGE };
  if (view.before !== null) question.before = view.before;
  if (view.actor !== '') question.actor = view.actor;
  if (view.action !== '') question.action = view.action;
  if (view.wanted) {
    const { range, from, to } = boundsOf(view.wanted, now);
    if (range) question.from = new Date(now - LENGTHS[range]).toISOString();
    if (from) question.from = from;
    if (to) question.to = to;
  }
  return question;
}

const LENGTHS: Record<string, number> = {
  '24h': 86_400_000,
  '7d': 7 * 86_400_000,
  '30d': 30 * 86_400_000,
} satisfies Partial<Record<Period, number>>;

/** Who did it, as the subject of a sentence. */
export function sayActor({ actor, actor_kind, subject }: AuditEntry): string {
  switch (actor_kind) {
    case 'user':
      return actor;
    case 'token':
      return `The API token ${actor}`;
    case 'agent':
      return subject === '' ? `The agent ${actor.slice(0, 8)}…` : `The agent ${subject}`;
    case 'host':
      return 'Somebody on the aggregator’s host';
    case 'program':
      return 'The aggregator';
    default:
      return 'Somebody not known';
  }
}

type Detail = Readonly<Record<string, unknown>>;

/** What was done, as the rest of the sentence. What this page does not know is named as the log names it. */
export function sayDeed(entry: AuditEntry): string {
  if (entry.outcome !== 'ok') return sayRefusal(entry);
  const detail = (entry.detail ?? {}) as Detail;
  const say = DEEDS[entry.action];
  return say ? say(entry.subject, detail) : `did ${entry.action}${on(entry.subject)}`;
}

const DEEDS: Readonly<Record<string, (subject: string, detail: Detail) => string>> = {
  'user.first': (subject) => `set up ${subject}, the first administrator`,
  'user.create': (subject, { role }) => `made the account ${subject}${as(role)}`,
  'user.invite': (subject) => `made a link for ${subject} to choose a password`,
  'user.change': sayChange,
  'user.delete': (subject) => `deleted the account ${subject}`,
  'invitation.redeem': () => 'chose a password by a link, and signed in',
  'password.change': () => 'changed their password',
  'session.create': () => 'signed in',
  'session.delete': () => 'signed out',
  'api_token.create': (subject, { role, scopes, expires_at }) =>
    `made the API token ${subject}${as(role)}, ${limits(scopes)}, ${ends(expires_at)}`,
  'api_token.delete': (subject) => `revoked the API token ${subject}`,
  'join_token.create': (_subject, { uses, site, expires_at }) =>
    `made a join token for ${hosts(uses)}${typeof site === 'string' ? ` at ${site}` : ''}, ${ends(expires_at)}`,
  'join_token.delete': (subject) => `deleted the join token ${subject.slice(0, 8)}`,
  'agent.join': (_subject, { site }) =>
    `joined the mesh${typeof site === 'string' ? ` at ${site}` : ''}`,
  'setting.change': (subject, detail) =>
    subject === 'retention'
      ? `set how long things are kept: ${periods(detail)}`
      : `changed the setting ${subject}`,
  'config.change': (subject, { changes, why }) =>
    `made ${subject} of the configuration${places(changes)}${because(why)}`,
  'config.rollback': (subject, { copy_of, why }) =>
    `went back to version ${typeof copy_of === 'number' ? copy_of : 'unknown'} of the configuration, as ${subject}${because(why)}`,
  'incident.acknowledge': (subject) => `acknowledged the incident ${subject.slice(0, 8)}`,
  'incident.take_back': (subject) =>
    `took back the acknowledgement of the incident ${subject.slice(0, 8)}`,
  'alert_rule.create': (subject, { name, enabled }) =>
    `made ${thing('the rule', subject, name)}${disabled(enabled)}`,
  'alert_rule.change': (subject, { name, enabled }) =>
    `changed ${thing('the rule', subject, name)}${disabled(enabled)}`,
  'alert_rule.delete': (subject) => `deleted the rule ${subject}`,
  'silence.create': (subject, detail) => `made ${silence(subject, detail)}`,
  'silence.change': (subject, detail) => `changed ${silence(subject, detail)}`,
  'silence.delete': (subject) => `deleted the silence ${subject}`,
  'channel.create': (subject, { name, enabled }) =>
    `made ${thing('the channel', subject, name)}${disabled(enabled)}`,
  'channel.change': (subject, { name, enabled }) =>
    `changed ${thing('the channel', subject, name)}${disabled(enabled)}`,
  'channel.delete': (subject) => `deleted the channel ${subject}`,
  'channel.test': (subject, { name, sent }) =>
    `sent a test through ${thing('the channel', subject, name)}${failed(sent)}`,
  'report_schedule.create': (subject, { name, enabled }) =>
    `made ${thing('the report by mail', subject, name)}${disabled(enabled)}`,
  'report_schedule.change': (subject, { name, enabled }) =>
    `changed ${thing('the report by mail', subject, name)}${disabled(enabled)}`,
  'report_schedule.delete': (subject) => `deleted the report by mail ${subject}`,
  'report_schedule.send': (subject, { name, sent }) =>
    `sent ${thing('the report by mail', subject, name)}${failed(sent)}`,
};

function sayRefusal({ action, outcome, subject }: AuditEntry): string {
  const tried = TRIED[action] ?? `do ${action}${on(subject)}`;
  if (action === 'access.deny') return `was refused ${subject}, which needs another role or scope`;
  if (outcome === 'limited') return `tried to ${tried} too often and was told to wait`;
  if (outcome === 'wrong' && action === 'invitation.redeem')
    return `tried to ${tried} that is not good`;
  if (outcome === 'wrong') return `tried to ${tried} with a wrong password`;
  return `was refused to ${tried}`;
}

const TRIED: Readonly<Record<string, string>> = {
  'session.create': 'sign in',
  'invitation.redeem': 'use a link',
  'password.change': 'change their password',
};

function sayChange(subject: string, { role, disabled }: Detail): string {
  const done: string[] = [];
  if (typeof role === 'string') done.push(`gave ${subject} the role ${role}`);
  if (disabled === true) done.push(`disabled ${subject}`);
  if (disabled === false) done.push(`enabled ${subject}`);
  return done.length === 0 ? `changed the account ${subject}` : done.join(' and ');
}

/** "the rule 4, Loss": the number is what stays when the name is changed. */
function thing(what: string, subject: string, name: unknown): string {
  return typeof name === 'string' ? `${what} ${subject}, “${name}”` : `${what} ${subject}`;
}

function silence(subject: string, { maintenance, until, reason }: Detail): string {
  const what = maintenance === true ? 'the maintenance window' : 'the silence';
  const ends = typeof until === 'string' ? `, until ${formatMoment(until)}` : '';
  return `${what} ${subject}${ends}${because(reason)}`;
}

function disabled(enabled: unknown): string {
  return enabled === false ? ', disabled' : '';
}

function failed(sent: unknown): string {
  return sent === false ? ', which failed' : '';
}

function places(changes: unknown): string {
  return typeof changes === 'number' ? `, with ${plural(changes, 'change')}` : '';
}

function because(why: unknown): string {
  return typeof why === 'string' && why !== '' ? `: “${why}”` : '';
}

function on(subject: string): string {
  return subject === '' ? '' : ` to ${subject}`;
}

function as(role: unknown): string {
  return typeof role === 'string' ? ` with the role ${role}` : '';
}

function limits(scopes: unknown): string {
  const words = Array.isArray(scopes) ? scopes.filter((word) => typeof word === 'string') : [];
  return words.length === 0 ? 'for all that its role may' : `only to ${words.join(', ')}`;
}

function ends(moment: unknown): string {
  return typeof moment === 'string' ? `good until ${formatMoment(moment)}` : 'without end';
}

function hosts(uses: unknown): string {
  return uses === 1 ? '1 host' : `${typeof uses === 'number' ? uses : 'some'} hosts`;
}

function periods(detail: Detail): string {
  const kinds = [
    ['samples_s', 'windows'],
    ['minutes_s', 'minutes'],
    ['hours_s', 'hours'],
    ['days_s', 'days'],
    ['events_s', 'changes'],
  ] as const;
  return kinds
    .filter(([name]) => typeof detail[name] === 'number')
    .map(([name, word]) => `${word} ${sayPeriod(detail[name] as number)}`)
    .join(', ');
}

const DAY = new Intl.DateTimeFormat('en-GB', {
  weekday: 'long',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
});

/** Entries under the day that they were made on, in the reader's zone. */
export function byDay(entries: readonly AuditEntry[]): { day: string; entries: AuditEntry[] }[] {
  const days: { day: string; entries: AuditEntry[] }[] = [];
  for (const entry of entries) {
    const day = DAY.format(Date.parse(entry.at));
    const last = days.at(-1);
    if (last?.day === day) last.entries.push(entry);
    else days.push({ day, entries: [entry] });
  }
  return days;
}

/** The page of what was changed, while it may still be there. */
export function placeOf({ action, subject, outcome }: AuditEntry): string | null {
  const [kind, deed] = action.split('.');
  if (outcome !== 'ok' || subject === '' || deed === 'delete') return null;
  const of = PLACES[kind];
  return of ? of(encodeURIComponent(subject)) : null;
}

const PLACES: Readonly<Record<string, (subject: string) => string>> = {
  user: (name) => `/users?user=${name}`,
  agent: (name) => `/agents/${name}`,
  config: (version) => `/config/versions/${version.replace('version%20', '')}`,
  incident: (id) => `/incidents/${id}`,
  alert_rule: (id) => `/rules?rule=${id}`,
  silence: (id) => `/rules?silence=${id}`,
  channel: (id) => `/channels/${id}`,
  report_schedule: (id) => `/reports?mail=${id}`,
};

/** What `aggregator audit log --verify --known` takes: kept elsewhere, it shows that the end was not cut off. */
export function sealOf({ id, hash }: AuditEntry): string {
  return `${id}:${hash}`;
}
