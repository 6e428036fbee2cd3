import { describe, expect, it } from 'vitest';
import { Selection } from '../src/model/filter';
import { isEndpoint, membersOf, sayPopulation } from '../src/model/kind';
import { buildAxis, orderAgents } from '../src/model/order';
import { isSilent } from '../src/model/silence';
import type { LiveMatrix } from '../src/model/live';

const AGENTS = [
  { index: 0, name: 'a-1', site: 'zeta', kind: 'agent' as const, tags: ['web'] },
  { index: 1, name: 'a-2', site: 'north', kind: 'agent' as const, tags: [] },
  { index: 2, name: 'gateway', site: 'endpoints', kind: 'endpoint' as const, tags: [] },
];

describe('endpoints among agents', () => {
  it('are counted apart, and their site is none', () => {
    expect(sayPopulation(AGENTS)).toBe('2 agents in 2 sites, and to 1 endpoint');
    expect(sayPopulation(AGENTS.slice(0, 1))).toBe('1 agent in 1 site');
    const [one, ...others] = AGENTS;
    const said = sayPopulation([{ ...one, isLeftOut: true }, ...others]);
    expect(said).toBe('1 agent in 1 site, and to 1 endpoint');
    expect(membersOf(AGENTS)).toHaveLength(2);
    expect(isEndpoint(undefined)).toBe(false);
  });

  it('are never silent: they never say anything', () => {
    expect(isSilent({ last_seen_at: null, kind: 'endpoint' }, 0)).toBe(false);
    expect(isSilent({ last_seen_at: null, kind: 'agent' }, 0)).toBe(true);
    expect(isSilent({ last_seen_at: null, isLeftOut: true }, 0)).toBe(false);
  });

  it('stand behind all sites', () => {
    expect(orderAgents(AGENTS, 'site', {} as LiveMatrix)).toEqual([1, 0, 2]);
    const first = { ...AGENTS[2], index: 3, name: 'a-0' };
    expect(orderAgents([...AGENTS, first], 'name', {} as LiveMatrix)).toEqual([0, 1, 3, 2]);
  });

  it('are a group of their own in every order, also beside a site of that name', () => {
    const alike = AGENTS.map((agent) => ({ ...agent, site: 'endpoints' }));
    const blocks = (agents: typeof AGENTS, sort: 'site' | 'name') =>
      buildAxis([...agents.keys()], agents, sort, () => true).blocks;
    expect(blocks(AGENTS, 'name')).toEqual([
      { site: '', start: 0, end: 2 },
      { site: 'endpoints', start: 2, end: 3 },
    ]);
    expect(blocks(alike, 'site')).toHaveLength(2);
    expect(blocks(AGENTS.slice(0, 2), 'name')).toEqual([]);
  });

  it('agents are found by a tag', () => {
    const selection = new Selection({ text: 'web > gateway', states: [] }, AGENTS);
    expect([0, 1, 2].filter((at) => selection.hasRow(at))).toEqual([0]);
    expect([0, 1, 2].filter((at) => selection.hasColumn(at))).toEqual([2]);
  });
});
