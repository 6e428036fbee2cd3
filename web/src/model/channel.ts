/** Channels in words. */

import type { Channel, ChannelTarget, Delivery, TestResult } from '../api/alerts';
import { formatDuration, formatMoment } from './time';

export type ChannelKind = ChannelTarget['kind'];

export const CHANNEL_KINDS: readonly { kind: ChannelKind; label: string; hint: string }[] = [
  { kind: 'discord', label: 'Discord', hint: 'A message in a text channel, edited as it changes.' },
  { kind: 'mail', label: 'E-mail', hint: 'A thread for each incident, by your mail server.' },
  { kind: 'webhook', label: 'Webhook', hint: 'JSON to any address, signed with a key.' },
];

export function kindWord(kind: string): string {
  return CHANNEL_KINDS.find((one) => one.kind === kind)?.label ?? kind;
}

export function sayTarget(target: ChannelTarget): string {
  if (target.kind !== 'mail') return target.origin;
  const { to, host } = target.settings;
  const rest = to.length > 1 ? ` and ${to.length - 1} more` : '';
  return `${to[0] ?? 'nobody'}${rest}, by ${host}`;
}

export type ChannelState = 'ok' | 'disabled' | 'resting' | 'trouble';

export function channelState(channel: Channel): ChannelState {
  if (!channel.enabled) return 'disabled';
  if (channel.resting_until !== null) return 'resting';
  return channel.trouble === null ? 'ok' : 'trouble';
}

export function sayState(channel: Channel): { word: string; more: string } {
  switch (channelState(channel)) {
    case 'ok':
      return { word: 'Enabled', more: '' };
    case 'disabled':
      return { word: 'Disabled', more: 'nobody is told through it' };
    case 'resting':
      return { word: 'Resting', more: `until ${formatMoment(channel.resting_until ?? '')}` };
    case 'trouble':
      return {
        word: 'Failed',
        more: channel.failures > 1 ? `${channel.failures} times in a row` : 'the last time',
      };
  }
}

export const REPEATS = [0, 3_600, 14_400, 43_200, 86_400] as const;

export function sayRepeat(seconds: number): string {
  return seconds === 0 ? 'never' : `every ${formatDuration(seconds)}`;
}

export interface SaidTest {
  title: string;
  /** The words of whoever said what happened, and who that was. */
  detail: string;
  speaker: string;
  help: string;
}

/** How the aggregator writes down what the other side answered, of mail with the recipient; everything else it found out itself. */
const ANSWERED = /^(HTTP \d{3}|(\S+@\S+: )?(permanent|transient) error)/;
const UNREACHED =
  /refused the connection|cannot be reached|did not answer in time|connection error|lookup/i;

/** What came of a test, and what to do when it did not arrive. */
export function sayTest(
  channel: Pick<Channel, 'name' | 'target'>,
  { sent, detail, took_ms }: TestResult,
): SaidTest {
  const took = took_ms < 1_000 ? `${took_ms}\u00a0ms` : `${(took_ms / 1_000).toFixed(1)}\u00a0s`;
  const who = WHO[channel.target.kind];
  if (sent && detail !== '') {
    const help = `${who} took it for the others after ${took}.`;
    return { title: 'Not everybody gets the test', detail, speaker: who, help };
  }
  if (sent) {
    const help = `${who} took it after ${took}. Look there whether it can be seen.`;
    return { title: 'The test was sent', detail: '', speaker: '', help };
  }
  const speaker = ANSWERED.test(detail) ? who : 'Everypath';
  const isReached = speaker === who || !UNREACHED.test(detail);
  const title = isReached ? `${who} did not take the test` : `${who} could not be reached`;
  return { title, detail, speaker, help: helpFor(channel.target, detail) };
}

const WHO: Record<ChannelKind, string> = {
  discord: 'Discord',
  mail: 'The mail server',
  webhook: 'The receiver',
};

function helpFor(target: ChannelTarget, detail: string): string {
  const status = Number(/HTTP (\d{3})/.exec(detail)?.[1] ?? NaN);
  if (target.kind === 'discord' && [401, 403, 404].includes(status))
    return 'The webhook was deleted, or its address is not whole. Make a new one in Discord, and change the channel.';
  if (target.kind === 'webhook' && [401, 403].includes(status))
    return 'It refuses whoever sends: compare the key at both ends.';
  if (status === 429) return 'It was asked too often. Everypath waits as long as it says.';
  if (status >= 500) return 'It failed itself. What is to be told is tried again by itself.';
  if (/certificate|tls/i.test(detail))
    return 'The certificate is not trusted, or the connection is not made as the server wants it.';
  if (/auth|credential|password|535/i.test(detail)) return 'User or password are not right.';
  if (UNREACHED.test(detail))
    return 'Look at the name, the port, and what lies between it and the aggregator.';
  return '';
}

const EVENT_WORDS: Readonly<Record<string, string>> = {
  opened: 'It began',
  updated: 'It changed',
  reopened: 'It came back',
  repeated: 'It goes on',
  resolved: 'It is over',
  test: 'By hand',
  report: 'It was due',
  sent_now: 'Sent by hand',
};

export function sayEvent(event: string): string {
  return EVENT_WORDS[event] ?? event;
}

/** What a delivery was that is about no incident. */
export function sayKind(event: string): string {
  return event === 'report' || event === 'sent_now' ? 'Report' : 'Test';
}

/** The incident that it was about, as it is called now; without any title a piece of its name must do. */
export function sayIncident(
  { incident, title }: Pick<Delivery, 'incident' | 'title'>,
  open: readonly { id: string; title: string }[],
): string {
  return (
    title || open.find(({ id }) => id === incident)?.title || `Incident ${incident?.slice(0, 8)}`
  );
}

export type DeliveryKind = 'sent' | 'waits' | 'failed';

export function sayResult({ result }: Pick<Delivery, 'result'>): {
  kind: DeliveryKind;
  word: string;
} {
  switch (result) {
    case 'sent':
      return { kind: 'sent', word: 'Sent' };
    case 'waits':
      return { kind: 'waits', word: 'Tried again later' };
    case 'again':
      return { kind: 'waits', word: 'Sent anew' };
    case 'given_up':
      return { kind: 'failed', word: 'Given up' };
    default:
      return { kind: 'waits', word: result };
  }
}
