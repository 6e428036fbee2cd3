import { describe, expect, it } from 'vitest';
import type { Change, ConfigAgents, MeshConfig } from '../src/api/config';
import {
  changesBetween,
  compareCosts,
  groupChanges,
  rolloutOf,
  sayFactor,
  sayMadeBy,
  sayMaker,
  sayRollout,
  USUAL,
} from '../src/model/config';
import { lineOf, linesOf, readText, writeText } from '../src/model/config-text';
import {
  draftFaults,
  faultsAt,
  faultsElsewhere,
  faultsWithout,
  fromDraft,
  nameOfPlace,
  selectorsOf,
  toDraft,
} from '../src/model/draft';
import { fieldErrors } from '../src/model/problem';

const endpoint = (name: string, address: string) => ({ name, address, observers: ['all'] });
const said = (changes: readonly Change[]) =>
  changes.map(({ path, from, to }) => `${path}: ${from ?? ''} > ${to ?? ''}`);

describe('what differs between two configurations', () => {
  it('is told as the aggregator tells it: an entry that only moved has not changed', () => {
    const before = {
      ...USUAL,
      endpoints: [endpoint('a', '192.0.2.1'), endpoint('b', '192.0.2.2')],
    };
    const moved = { ...before, endpoints: [...before.endpoints].reverse() };
    expect(changesBetween(before, moved)).toEqual([]);
    const after: MeshConfig = {
      ...USUAL,
      probe: { interval: '2s', timeout: '1s' },
      endpoints: [endpoint('b', '192.0.2.3'), endpoint('c', '192.0.2.4')],
      exclude: [{ between: ['all', 'site:x'] }],
    };
    expect(said(changesBetween(before, after))).toEqual([
      'endpoints[a].address: 192.0.2.1 > ',
      'endpoints[a].name: a > ',
      'endpoints[a].observers: all > ',
      'endpoints[b].address: 192.0.2.2 > 192.0.2.3',
      'endpoints[c].address:  > 192.0.2.4',
      'endpoints[c].name:  > c',
      'endpoints[c].observers:  > all',
      'exclude[all,site:x].between:  > all, site:x',
      'probe.interval: 5s > 2s',
    ]);
    const groups = groupChanges(changesBetween(before, after));
    expect(groups.map(({ what, name, kind }) => `${kind} ${what} ${name}`.trim())).toEqual([
      'gone Endpoint a',
      'changed Endpoint b',
      'new Endpoint c',
      'new Left out all and site:x',
      'changed Probes',
    ]);
    expect(groups[2].lines).toEqual([
      { label: 'Address', from: null, to: '192.0.2.4' },
      { label: 'Observers', from: null, to: 'all' },
    ]);
  });

  it('is grouped by what it is of, also where a name has dots', () => {
    const changes = [{ path: 'agents[db.example.org].tags', from: null, to: 'web' }];
    expect(groupChanges(changes)[0]).toMatchObject({ what: 'Agent', name: 'db.example.org' });
    const cells = [{ path: 'cells.slow_margin', from: '5ms', to: '9ms' }];
    expect(groupChanges(cells)[0].what).toBe('What counts as broken');
    expect(groupChanges(cells)[0].lines).toMatchObject([{ from: '5\u00a0ms', to: '9\u00a0ms' }]);
  });
});

describe('the cost of a change', () => {
  it('is compared in words', () => {
    expect(sayFactor(14.4, 36)).toBe('2.5 times as many');
    expect(sayFactor(10, 6)).toBe('40\u00a0% less');
    expect(sayFactor(10, 10.01)).toBe('as before');
    expect(sayFactor(1_000, 1_004)).toBe('1\u00a0% more');
    expect(sayFactor(0, 5)).toBe('new');
    expect(sayFactor(5, 0)).toBe('none any more');
    const cost = (packets: number) => ({
      agent_pairs: 72,
      endpoint_pairs: 0,
      packets_per_s: packets,
      rows_per_s: 7.2,
    });
    const [packets, , , none] = compareCosts(cost(14.4), cost(28.8));
    expect(packets).toMatchObject({ before: '14.4', after: '28.8', shares: [0.5, 1] });
    expect(none.shares).toEqual([0, 0]);
  });
});

describe('who runs the version in force', () => {
  const NOW = Date.parse('2026-11-23T12:00:00Z');
  const agent = (id: string, version: number | null) => ({
    id,
    name: id,
    version,
    since: null,
    is_current: version === 12,
  });
  const state: ConfigAgents = {
    version: 12,
    current: 1,
    agents: [agent('a', 11), agent('b', 12), agent('c', null), agent('d', 0)],
  };
  const roster = ['a', 'b', 'c', 'd'].map((id) => ({
    id,
    last_seen_at: new Date(NOW - (id === 'a' ? 3_600_000 : 1_000)).toISOString(),
  }));

  it('says how many do, and what the others run, the silent last', () => {
    const rollout = rolloutOf(state, roster, NOW);
    expect(sayRollout(rollout)).toBe('1 of 4 agents run version 12');
    expect(rollout.late.map(({ name, said: runs }) => `${name} ${runs}`)).toEqual([
      'c has not said what it runs',
      'd still goes by itself',
      'a runs version 11',
    ]);
    expect(rollout.late[2].isSilent).toBe(true);
    expect(sayRollout({ ...rollout, current: 4, isDone: true })).toBe(
      'All 4 agents run version 12',
    );
    expect(sayRollout({ ...rollout, total: 0 })).toBe('No agent is here yet');
  });

  it('does not wait for who is left out and silent, but for who is left out and still runs', () => {
    const leftOut = roster.map((agent) => ({ ...agent, isLeftOut: 'ac'.includes(agent.id) }));
    const rollout = rolloutOf(state, leftOut, NOW);
    expect(sayRollout(rollout)).toBe('1 of 3 agents run version 12');
    expect(rollout.late.map(({ name }) => name)).toEqual(['c', 'd']);
    expect(rollout.gone).toEqual(['a']);
    const alone = { ...state, agents: state.agents.slice(0, 2) };
    expect(rolloutOf(alone, leftOut, NOW).isDone).toBe(true);
  });

  it('names who made it', () => {
    expect(sayMaker({ made_by: 'ada', made_by_kind: 'user' })).toBe('ada');
    expect(sayMaker({ made_by: 'ci', made_by_kind: 'token' })).toBe('the token ci');
    expect(sayMaker({ made_by: '', made_by_kind: 'host' })).toBe('at the host');
    expect(sayMadeBy({ made_by: '', made_by_kind: 'host' })).toBe('at the host');
    expect(sayMadeBy({ made_by: 'ada', made_by_kind: 'user' })).toBe('by ada');
  });
});

describe('the configuration as text', () => {
  it('is read back as it was written, and what is left out is the usual', () => {
    expect(readText(writeText(USUAL)).config).toEqual(USUAL);
    expect(readText('').config).toEqual(USUAL);
    const some = readText('{"probe": {"interval": "2s"}}').config;
    expect(some?.probe).toEqual({ interval: '2s', timeout: '1s' });
  });

  it('names every place that has another form, at once', () => {
    const { config, faults } = readText(
      '{"prob": {}, "window": 10, "cells": [], "endpoints": [{"name": "a", "observers": "all"}], "exclude": {}}',
    );
    expect(config).toBeNull();
    expect(faults.map(({ field }) => field)).toEqual([
      'prob',
      'window',
      'cells',
      'endpoints[0].observers',
      'exclude',
    ]);
    expect(faults[0].detail).toContain('probe, window, cells');
  });

  it('says where it is no JSON', () => {
    const { faults } = readText('{\n  "window": ,\n}');
    expect(faults).toHaveLength(1);
    expect(faults[0].detail).toMatch(/^This is not JSON/);
  });

  it('knows the line of each place, and of what is around one that is missing', () => {
    const lines = linesOf(
      '{\n "probe": {\n  "interval": "5\\"s"\n },\n "endpoints": [\n  {}, { "name": "x" }\n ]\n}',
    );
    expect(lineOf(lines, 'probe.interval')).toBe(3);
    expect(lineOf(lines, 'endpoints')).toBe(5);
    expect(lineOf(lines, 'endpoints[1].name')).toBe(6);
    expect(lineOf(lines, 'endpoints[1].observers[3]')).toBe(6);
    expect(lineOf(lines, 'window')).toBe(1);
    expect(lineOf(linesOf('{'), 'window')).toBeNull();
    expect(lineOf(linesOf('[]'), '')).toBe(1);
  });
});

describe('a configuration while it is changed', () => {
  const config: MeshConfig = {
    ...USUAL,
    endpoints: [{ name: 'gateway', address: '192.0.2.1' }],
    agents: [
      { agent: 'alpha-1', site: null, tags: ['web'] },
      { agent: 'alpha-2', site: 'north' },
    ],
    exclude: [{ between: ['all', 'tag:web'] }],
  };

  it('is sent as it came, but for blanks and for what is empty', () => {
    const draft = toDraft(config);
    expect(changesBetween(config, fromDraft(draft))).toEqual([]);
    draft.endpoints[0].address = ' 192.0.2.9 ';
    draft.agents[1].site = ' ';
    expect(fromDraft(draft).endpoints[0].address).toBe('192.0.2.9');
    draft.probe.interval = '2\u00a0s ';
    expect(fromDraft(draft).probe.interval).toBe('2s');
    expect(fromDraft(draft).agents[1]).toEqual({ agent: 'alpha-2', tags: [] });
  });

  it('keeps faults with their entry when another one is removed', () => {
    const fault = (field: string) => ({ field, detail: 'wrong' });
    const faults = [
      'window',
      'endpoints[0].name',
      'endpoints[1].name',
      'endpoints[2].observers[1]',
      'agents[2].agent',
    ].map(fault);
    expect(faultsWithout(faults, 'endpoints', 1).map(({ field }) => field)).toEqual([
      'window',
      'endpoints[0].name',
      'endpoints[1].observers[1]',
      'agents[2].agent',
    ]);
    expect(faultsAt(faults, 'endpoints[2].observers')).toHaveLength(1);
    expect(faultsAt(faults, 'endpoints[2].observer')).toHaveLength(0);
    expect(faultsElsewhere(faults, 'endpoints[2]')).toHaveLength(4);
  });

  it('names places as the form does', () => {
    const draft = toDraft(config);
    expect(nameOfPlace('probe.interval', draft)).toBe('A probe every');
    expect(nameOfPlace('endpoints[0].address', draft)).toBe('Address of the endpoint gateway');
    expect(nameOfPlace('agents[7].tags[0]', draft)).toBe('Tags of the agent 8.');
    expect(nameOfPlace('', draft)).toBe('The whole');
  });

  it('misses a number that was taken out', () => {
    const draft = toDraft(config);
    expect(draftFaults(draft)).toEqual([]);
    draft.cells.down_after_losses = null as unknown as number;
    expect(draftFaults(draft).map(({ field }) => field)).toEqual(['cells.down_after_losses']);
  });

  it('says what a length of time may be', () => {
    const draft = toDraft(config);
    draft.probe.interval = '0.5 s';
    expect(draftFaults(draft)).toEqual([
      {
        field: 'probe.interval',
        detail: 'A whole number and its unit, from 1 s to 60 s, such as 5 s.',
      },
    ]);
  });

  it('offers what can be selected, and no endpoint', () => {
    const { selectors } = selectorsOf(toDraft(config), [
      { name: 'alpha-10', site: 'alpha' },
      { name: 'alpha-2', site: 'alpha' },
      { name: 'gateway', site: 'endpoints', kind: 'endpoint' },
    ]);
    expect(selectors).toEqual([
      'all',
      'site:alpha',
      'site:north',
      'tag:web',
      'agent:alpha-2',
      'agent:alpha-10',
    ]);
  });
});

describe('faults of a document', () => {
  it('become failures of fields, as sentences', () => {
    const body = {
      faults: [{ path: 'endpoints[2].address', message: 'is no address' }, { path: 3 }],
    };
    expect(fieldErrors(body)).toEqual([
      { field: 'endpoints[2].address', detail: 'Is no address.' },
    ]);
  });
});
