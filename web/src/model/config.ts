/** The configuration of the mesh as people read it: what differs between two, what it costs, and who runs it. */

import type { Change, ConfigAgents, ConfigCost, MeshConfig } from '../api/config';
import { formatCount, plural } from './format';
import { isQuiet, isSilent, type Seen } from './silence';
import { saySpan } from './span';

/** What agents do while nobody says anything else. */
export const USUAL: MeshConfig = {
  probe: { interval: '5s', timeout: '1s' },
  window: '10s',
  cells: {
    down_after_losses: 3,
    up_after_replies: 2,
    lossy_after_losses: 3,
    slow_margin: '5ms',
    stale_after_intervals: 4,
  },
  endpoints: [],
  agents: [],
  exclude: [],
};

export const WINDOWS = ['10s', '12s', '15s', '20s', '30s', '1m'] as const;
/** The aggregator's own limits; it has the last word. */
export const LIMITS = { endpoints: 48, agents: 1_024, exclude: 256 } as const;
export const WHY_CHARACTERS_MAX = 256;

/** Those of `cells`, in the order in which they are thought about. */
export const CELL_FIELDS = [
  {
    field: 'down_after_losses',
    label: 'Down after',
    unit: 'losses in a row',
    hint: '1 to 12. Twice as many where probes were lost before.',
    least: 1,
    most: 12,
  },
  {
    field: 'up_after_replies',
    label: 'Up again after',
    unit: 'replies in a row',
    hint: '1 to 12.',
    least: 1,
    most: 12,
  },
  {
    field: 'lossy_after_losses',
    label: 'Lossy from',
    unit: 'losses among the last 24',
    hint: '1 to 24.',
    least: 1,
    most: 24,
  },
  {
    field: 'stale_after_intervals',
    label: 'Unknown after',
    unit: 'intervals without an outcome',
    hint: '2 to 20.',
    least: 2,
    most: 20,
  },
] as const;

const LABELS: Record<string, string> = {
  'probe.interval': 'A probe every',
  'probe.timeout': 'Lost without a reply for',
  window: 'Summed up every',
  'cells.slow_margin': 'Slow from, above twice the usual',
  address: 'Address',
  observers: 'Observers',
  site: 'Site',
  tags: 'Tags',
  name: 'Name',
  agent: 'Agent',
  between: 'Between',
  ...Object.fromEntries(CELL_FIELDS.map(({ field, label }) => [`cells.${field}`, label])),
};

const SPANS = ['probe.interval', 'probe.timeout', 'window', 'cells.slow_margin'];

export function labelOf(path: string): string {
  return LABELS[path] ?? path;
}

/** Everything that is different, place by place, as the aggregator itself tells it. */
export function changesBetween(before: MeshConfig, after: MeshConfig): Change[] {
  const [old, now] = [placesOf(before), placesOf(after)];
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort()
    .map((path) => ({ path, from: old.get(path) ?? null, to: now.get(path) ?? null }))
    .filter(({ from, to }) => from !== to);
}

function placesOf(config: MeshConfig): Map<string, string> {
  const found = new Map<string, string>();
  walk('', config, found);
  return found;
}

function walk(path: string, value: unknown, found: Map<string, string>): void {
  if (value === null || value === undefined) return;
  if (Array.isArray(value)) {
    if (!value.every((item) => typeof item === 'object')) found.set(path, value.join(', '));
    else for (const item of value) walk(`${path}[${keyOf(item)}]`, item, found);
  } else if (typeof value === 'object') {
    for (const [name, item] of Object.entries(value))
      walk(path === '' ? name : `${path}.${name}`, item, found);
  } else found.set(path, `${value as string | number | boolean}`);
}

/** What an entry of a list is of: one that only moved has not changed. */
function keyOf(item: { name?: string; agent?: string; between?: string[] }): string {
  return item.name ?? item.agent ?? item.between?.join(',') ?? '';
}

export interface ChangeLine {
  label: string;
  from: string | null;
  to: string | null;
}

export interface ChangeGroup {
  key: string;
  /** What it is of: "Probes", "Endpoint". */
  what: string;
  /** Which one, where there are many. */
  name: string;
  kind: 'new' | 'gone' | 'changed';
  lines: ChangeLine[];
}

const KINDS: Record<string, { what: string; identity: string }> = {
  endpoints: { what: 'Endpoint', identity: 'name' },
  agents: { what: 'Agent', identity: 'agent' },
  exclude: { what: 'Left out', identity: 'between' },
};

/** One group for all that is said of one thing, so that a new endpoint is one change and not three. */
export function groupChanges(changes: readonly Change[]): ChangeGroup[] {
  const groups = new Map<string, ChangeGroup>();
  for (const { path, from, to } of changes) {
    const entry = /^(\w+)\[(.*)\]\.(\w+)$/.exec(path);
    const [list, name, field] = entry ? entry.slice(1) : ['', '', ''];
    const kind = entry ? KINDS[list] : undefined;
    const what = kind?.what ?? (path.startsWith('cells.') ? 'What counts as broken' : 'Probes');
    const key = kind ? `${list}[${name}]` : what;
    const shown = list === 'exclude' ? name.replace(',', ' and ') : name;
    const group: ChangeGroup = groups.get(key) ?? {
      key,
      what,
      name: shown,
      kind: 'changed',
      lines: [],
    };
    groups.set(key, group);
    if (kind && field === kind.identity) group.kind = from === null ? 'new' : 'gone';
    else {
      const say = (value: string | null) =>
        value !== null && SPANS.includes(path) ? saySpan(value) : value;
      group.lines.push({ label: labelOf(kind ? field : path), from: say(from), to: say(to) });
    }
  }
  return [...groups.values()];
}

export interface CostLine {
  label: string;
  before: string;
  after: string;
  said: string;
  /** For the bars, of the larger one of all that is comparable: 0 to 1. */
  shares: [number, number];
}

export function compareCosts(before: ConfigCost, after: ConfigCost): CostLine[] {
  const line = (label: string, from: number, to: number): CostLine => ({
    label,
    before: formatRate(from),
    after: formatRate(to),
    said: sayFactor(from, to),
    shares: from === 0 && to === 0 ? [0, 0] : [from / Math.max(from, to), to / Math.max(from, to)],
  });
  return [
    line('Packets a second', before.packets_per_s, after.packets_per_s),
    line('Rows a second', before.rows_per_s, after.rows_per_s),
    line('Pairs of agents', before.agent_pairs, after.agent_pairs),
    line('Pairs to endpoints', before.endpoint_pairs, after.endpoint_pairs),
  ];
}

export function formatRate(rate: number): string {
  return formatCount(rate >= 100 ? Math.round(rate) : Math.round(rate * 10) / 10);
}

/** Such as "2.5 times as many", "40 % less". */
export function sayFactor(from: number, to: number): string {
  if (formatRate(from) === formatRate(to)) return 'as before';
  if (from === 0) return 'new';
  if (to === 0) return 'none any more';
  const factor = to / from;
  if (factor >= 2) return `${Math.round(factor * 10) / 10} times as many`;
  const percent = Math.max(1, Math.round(Math.abs(factor - 1) * 100));
  return factor > 1 ? `${percent}\u00a0% more` : `${percent}\u00a0% less`;
}

export interface Late {
  id: string;
  name: string;
  said: string;
  since: string | null;
  isSilent: boolean;
}

export interface Rollout {
  version: number;
  current: number;
  total: number;
  isDone: boolean;
  late: Late[];
  /** Left out and quiet: nobody waits for them. */
  gone: string[];
}

/** Who does not run the version in force. The silent come last: nobody can do anything about them here. */
export function rolloutOf(
  state: ConfigAgents,
  roster: readonly (Seen & { id: string })[],
  now: number,
): Rollout {
  const seen = new Map(roster.map((agent) => [agent.id, agent]));
  const isGone = ({ id }: { id: string }) => {
    const known = seen.get(id);
    return !!known?.isLeftOut && isQuiet(known, now);
  };
  const behind = state.agents.filter((agent) => !agent.is_current);
  const late = behind
    .filter((agent) => !isGone(agent))
    .map(({ id, name, version, since }) => {
      const known = seen.get(id);
      return { id, name, said: sayRuns(version), since, isSilent: !!known && isSilent(known, now) };
    })
    .sort((a, b) => Number(a.isSilent) - Number(b.isSilent));
  const { version, current } = state;
  const gone = behind.filter(isGone).map(({ name }) => name);
  const total = state.agents.length - gone.length;
  return { version, current, total, isDone: current >= total, late, gone };
}

function sayRuns(version: number | null): string {
  if (version === null) return 'has not said what it runs';
  return version === 0 ? 'still goes by itself' : `runs version ${version}`;
}

export function sayRollout({ version, current, total, isDone }: Rollout): string {
  if (total === 0) return 'No agent is here yet';
  const what = version === 0 ? 'go by themselves' : `run version ${version}`;
  if (isDone && total === 1)
    return version === 0 ? 'The agent goes by itself' : `The agent runs version ${version}`;
  if (isDone) return `All ${plural(total, 'agent')} ${what}`;
  return `${formatCount(current)} of ${plural(total, 'agent')} ${what}`;
}

/** Who made a version, in words. */
export function sayMaker({
  made_by,
  made_by_kind,
}: {
  made_by: string;
  made_by_kind: string;
}): string {
  if (made_by_kind === 'host') return 'at the host';
  if (made_by_kind === 'token') return `the token ${made_by}`;
  return made_by || 'nobody';
}

/** As it goes on after "Made 3 March, 10:00". */
export function sayMadeBy(made: { made_by: string; made_by_kind: string }): string {
  return made.made_by_kind === 'host' ? sayMaker(made) : `by ${sayMaker(made)}`;
}
