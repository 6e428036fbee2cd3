/** Channels as a form has them. */

import type { Channel, ChannelBody } from '../api/alerts';
import type { ChannelKind } from './channel';
import type { FieldError } from './problem';

/** What the form shows of each, as the aggregator names it. */
export const TARGET_FIELDS: Record<ChannelKind, readonly string[]> = {
  discord: ['target.url'],
  webhook: ['target.url', 'target.key'],
  mail: [
    ...['host', 'port', 'security', 'user', 'from', 'to', 'ca'].map(
      (name) => `target.settings.${name}`,
    ),
    'target.password',
  ],
};

export interface ChannelDraft {
  kind: ChannelKind;
  name: string;
  enabled: boolean;
  repeat: number;
  /** Secrets; empty keeps what there is. */
  url: string;
  key: string;
  password: string;
  host: string;
  port: number | null;
  security: 'tls' | 'starttls' | 'none';
  user: string;
  from: string;
  /** One in each line. */
  to: string;
  ca: string;
}

/** What each way of keeping a connection private uses by custom. */
export const PORTS = { tls: 465, starttls: 587, none: 25 } as const;

export function channelDraft(channel: Channel | null, kind: ChannelKind): ChannelDraft {
  const target = channel?.target;
  const mail = target?.kind === 'mail' ? target.settings : null;
  return {
    kind: target?.kind ?? kind,
    name: channel?.name ?? '',
    enabled: channel?.enabled ?? true,
    repeat: channel?.repeat_s ?? 0,
    url: '',
    key: '',
    password: '',
    host: mail?.host ?? '',
    port: mail?.port ?? PORTS.tls,
    security: mail?.security ?? 'tls',
    user: mail?.user ?? '',
    from: mail?.from ?? '',
    to: mail?.to.join('\n') ?? '',
    ca: mail?.ca ?? '',
  };
}

export function channelBody(draft: ChannelDraft): ChannelBody {
  const { name, enabled, repeat } = draft;
  return { name: name.trim(), enabled, repeat_s: repeat, target: targetOf(draft) };
}

/** The same channel, enabled or not; no secret is sent. */
export function switched(channel: Channel, enabled: boolean): ChannelBody {
  return channelBody({ ...channelDraft(channel, channel.target.kind), enabled });
}

/** What the aggregator would take in silence, and never use. */
export function channelFaults({ kind, user, password }: ChannelDraft): FieldError[] {
  if (kind !== 'mail' || password === '' || user.trim() !== '') return [];
  const detail = 'Whose password is it? Name the user, or leave the password empty.';
  return [{ field: 'target.settings.user', detail }];
}

function targetOf(draft: ChannelDraft): ChannelBody['target'] {
  const orNull = (text: string) => (text.trim() === '' ? null : text.trim());
  switch (draft.kind) {
    case 'discord':
      return { kind: 'discord', url: orNull(draft.url) };
    case 'webhook':
      return { kind: 'webhook', url: orNull(draft.url), key: orNull(draft.key) };
    case 'mail':
      return {
        kind: 'mail',
        // Spaces may be part of it.
        password: draft.password === '' ? null : draft.password,
        settings: {
          host: draft.host.trim(),
          port: draft.port ?? 0,
          security: draft.security,
          user: orNull(draft.user),
          from: draft.from.trim(),
          to: recipients(draft.to),
          ca: orNull(draft.ca),
        },
      };
  }
}

function recipients(text: string): string[] {
  return text
    .split(/[\n,;]/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** 256 bits of chance, as the receiver's own key would be. */
export function freshKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
