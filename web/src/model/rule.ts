/** Rules: in words, and as a form has them. */

import type { AlertRule, Channel, Condition, RuleBody } from '../api/alerts';
import type { FieldError } from './problem';
import { severityOf, type Severity } from './incident';
import { draftOf, EVERYWHERE, scopeFault, scopeOf, type ScopeDraft } from './scope';
import { secondsOf, spanOf, type SpanDraft } from './span';
import { formatDuration } from './time';

export type Kind = Condition['kind'];

export const KINDS: readonly { kind: Kind; label: string; hint: string }[] = [
  {
    kind: 'unreachable',
    label: 'A path is down',
    hint: 'So many probes in a row were lost as the configuration says, three usually.',
  },
  { kind: 'loss', label: 'Loss', hint: 'The share of the last minute’s probes that are lost.' },
  { kind: 'rtt', label: 'Round-trip time', hint: 'That of the last minute.' },
  { kind: 'silent', label: 'An agent is silent', hint: 'Nothing is heard of it here.' },
];

export function sayCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'unreachable':
      return 'A path is down';
    case 'loss':
      return `Loss above ${percent(condition.above_permille)}\u00a0%`;
    case 'rtt':
      return `RTT above ${millis(condition.above_us)}\u00a0ms`;
    case 'silent':
      return `Silent for ${formatDuration(condition.after_s)}`;
  }
}

/** For how long it must hold, and when it is over. */
export function sayHold({ condition, for_s, clear_for_s }: RuleBody): string {
  const parts: string[] = [];
  if (for_s > 0) parts.push(`for ${formatDuration(for_s)}`);
  const lower = lowerOf(condition);
  const clears = clear_for_s > 0 ? ` for ${formatDuration(clear_for_s)}` : '';
  if (lower !== '') parts.push(`over at ${lower} or less${clears}`);
  else if (clears !== '') parts.push(`over after ${formatDuration(clear_for_s)} without`);
  return parts.join(', ');
}

function lowerOf(condition: Condition): string {
  if (condition.kind === 'loss' && condition.below_permille !== condition.above_permille)
    return `${percent(condition.below_permille)}\u00a0%`;
  if (condition.kind === 'rtt' && condition.below_us !== condition.above_us)
    return `${millis(condition.below_us)}\u00a0ms`;
  return '';
}

/** `channels` is unknown to those who may not see them. */
export function sayRoute(rule: RuleBody, channels: readonly Channel[] | null): string {
  const chosen = rule.channels ?? null;
  if (chosen === null) return 'All channels';
  if (chosen.length === 0) return 'Nobody, for the record';
  const named = chosen.map((id) => channels?.find((one) => one.id === id)?.name);
  if (named.every((name) => name === undefined))
    return chosen.length === 1 ? '1 channel' : `${chosen.length} channels`;
  return named.map((name) => name ?? 'a deleted one').join(', ');
}

export interface RuleDraft {
  name: string;
  enabled: boolean;
  kind: Kind;
  /** Percent or milliseconds, by the kind. */
  above: number | null;
  below: number | null;
  after: SpanDraft;
  hold: SpanDraft;
  clear: SpanDraft;
  severity: Severity;
  scope: ScopeDraft;
  route: 'all' | 'some' | 'none';
  channels: number[];
}

const FRESH: RuleDraft = {
  name: '',
  enabled: true,
  kind: 'loss',
  above: 5,
  below: 2,
  after: { value: 1, unit: 'min' },
  hold: { value: 5, unit: 'min' },
  clear: { value: 1, unit: 'min' },
  severity: 'warning',
  scope: EVERYWHERE,
  route: 'all',
  channels: [],
};

/** What a kind begins with, where it is chosen anew. */
export function usual(kind: Kind): Pick<RuleDraft, 'above' | 'below' | 'hold' | 'clear'> {
  const minutes = (value: number): SpanDraft => ({ value, unit: 'min' });
  const none: SpanDraft = { value: 0, unit: 's' };
  switch (kind) {
    case 'loss':
      return { above: 5, below: 2, hold: minutes(5), clear: minutes(1) };
    case 'rtt':
      return { above: 100, below: 80, hold: minutes(5), clear: minutes(1) };
    default:
      return { above: null, below: null, hold: none, clear: none };
  }
}

export function ruleDraft(
  rule: AlertRule | null,
  agents: readonly { id: string; name: string }[],
): RuleDraft {
  if (!rule) return structuredClone(FRESH);
  const { name, enabled, condition, for_s, clear_for_s, severity, scope } = rule.rule;
  const channels = rule.rule.channels ?? null;
  return {
    name,
    enabled,
    kind: condition.kind,
    ...thresholds(condition),
    after: condition.kind === 'silent' ? spanOf(condition.after_s) : FRESH.after,
    hold: spanOf(for_s),
    clear: spanOf(clear_for_s),
    severity: severityOf(severity),
    scope: draftOf(scope, agents),
    route: channels === null ? 'all' : channels.length === 0 ? 'none' : 'some',
    channels: channels ?? [],
  };
}

function thresholds(condition: Condition): Pick<RuleDraft, 'above' | 'below'> {
  if (condition.kind === 'loss')
    return { above: condition.above_permille / 10, below: condition.below_permille / 10 };
  if (condition.kind === 'rtt')
    return { above: condition.above_us / 1_000, below: condition.below_us / 1_000 };
  return { above: null, below: null };
}

/** What cannot even be sent; all that is only wrong is left to the aggregator, which says everything at once. */
export function ruleFaults(draft: RuleDraft): FieldError[] {
  const faults: FieldError[] = [];
  const must = (isSo: boolean, field: string, detail: string) => {
    if (!isSo) faults.push({ field, detail });
  };
  const { kind, above, below, scope } = draft;
  if (kind === 'loss' || kind === 'rtt') {
    const [name, lower] = FIELDS[kind];
    must(isNumber(above), name, 'Give a number, 0 or more.');
    must(isNumber(below), lower, 'Give a number, 0 or more.');
  }
  if (kind === 'silent')
    must(secondsOf(draft.after) !== null, 'condition.after_s', 'Say how long.');
  else must(secondsOf(draft.hold) !== null, 'for_s', 'Say how long; 0 is at once.');
  must(secondsOf(draft.clear) !== null, 'clear_for_s', 'Say how long; 0 is at once.');
  const fault = scopeFault(scope);
  must(fault === '', 'scope', fault);
  const isUntold = draft.route === 'some' && draft.channels.length === 0;
  must(!isUntold, 'channels', 'Tick at least one, or choose nobody.');
  return faults;
}

/** Places of the two thresholds in the API. */
export const FIELDS = {
  loss: ['condition.above_permille', 'condition.below_permille'],
  rtt: ['condition.above_us', 'condition.below_us'],
} as const;

export function ruleBody(draft: RuleDraft): RuleBody {
  return {
    name: draft.name.trim(),
    enabled: draft.enabled,
    condition: conditionOf(draft),
    scope: scopeOf(draft.scope),
    for_s: draft.kind === 'silent' ? 0 : (secondsOf(draft.hold) ?? 0),
    clear_for_s: secondsOf(draft.clear) ?? 0,
    severity: draft.severity,
    channels: draft.route === 'all' ? null : draft.route === 'none' ? [] : draft.channels,
  };
}

function conditionOf({ kind, above, below, after }: RuleDraft): Condition {
  const scaled = (value: number | null, by: number) => Math.round((value ?? 0) * by);
  switch (kind) {
    case 'loss':
      return { kind, above_permille: scaled(above, 10), below_permille: scaled(below, 10) };
    case 'rtt':
      return { kind, above_us: scaled(above, 1_000), below_us: scaled(below, 1_000) };
    case 'silent':
      return { kind, after_s: secondsOf(after) ?? 0 };
    case 'unreachable':
      return { kind };
  }
}

/** What the number of the API can hold is the most that can be sent. */
const NUMBER_MAX = 4_000_000;

function isNumber(value: number | null): boolean {
  return value !== null && Number.isFinite(value) && value >= 0 && value <= NUMBER_MAX;
}

function percent(permille: number): number {
  return permille / 10;
}

function millis(micros: number): number {
  return micros / 1_000;
}
