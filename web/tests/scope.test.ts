import { describe, expect, it } from 'vitest';
import type { Incident } from '../src/api/alerts';
import {
  draftOf,
  EVERYWHERE,
  sayScope,
  scopeFault,
  scopeOf,
  scopeOfIncident,
  suggestions,
} from '../src/model/scope';
import { saySpan, secondsOf, spanOf } from '../src/model/span';
import { AGENTS, nameOf, NOBODY, incident } from './alerts';

describe('a span of a form', () => {
  it('is in the largest unit that needs no fraction', () => {
    expect(['10s', '500us', '1m', 'soon'].map(saySpan)).toEqual([
      ...['10\u00a0s', '500\u00a0µs', '1\u00a0min', 'soon'],
    ]);
    expect(spanOf(0)).toEqual({ value: 0, unit: 's' });
    expect(spanOf(90)).toEqual({ value: 90, unit: 's' });
    expect(spanOf(300)).toEqual({ value: 5, unit: 'min' });
    expect(spanOf(7_200)).toEqual({ value: 2, unit: 'h' });
    expect(secondsOf({ value: 1.5, unit: 'h' })).toBe(5_400);
    expect(secondsOf({ value: null, unit: 's' })).toBeNull();
    expect(secondsOf({ value: -1, unit: 's' })).toBeNull();
  });
});

describe('where', () => {
  const scope = (
    source: Partial<typeof NOBODY>,
    target: Partial<typeof NOBODY>,
    both: boolean,
  ) => ({
    source: { ...NOBODY, ...source },
    target: { ...NOBODY, ...target },
    both_ways: both,
  });
  const agents = (id: string) => ({ agents: [id] as never[] });
  const sites = (name: string) => ({ sites: [name] as never[] });

  it('is said, with names and not keys', () => {
    expect(sayScope(undefined, nameOf)).toBe('Everywhere');
    expect(sayScope(scope(agents(AGENTS[0].id), {}, true), nameOf)).toBe('All about alpha-1');
    expect(sayScope(scope(sites('alpha'), sites('beta'), true), nameOf)).toBe(
      'Between site alpha and site beta',
    );
    expect(sayScope(scope({}, sites('beta'), false), nameOf)).toBe('From anybody to site beta');
    expect(sayScope(scope(agents('d'.repeat(64)), {}, true), nameOf)).toBe('All about dddddddd…');
  });

  it('comes back from the form as it went in', () => {
    for (const one of [
      scope(sites('alpha'), sites('beta'), false),
      scope({ ...sites('alpha'), tags: ['x'] as never[] }, {}, true),
    ])
      expect(scopeOf(draftOf(one, AGENTS))).toEqual(one);
    // Agents are sent by name, which the aggregator makes keys.
    expect(scopeOf(draftOf(scope(agents(AGENTS[0].id), {}, true), AGENTS)).source.agents).toEqual([
      'alpha-1',
    ]);
  });

  it('never sends an empty list that nobody meant as everybody', () => {
    expect(scopeFault(EVERYWHERE)).toBe('');
    expect(scopeFault({ ...EVERYWHERE, mode: 'about' })).not.toBe('');
    expect(scopeFault({ ...EVERYWHERE, mode: 'paths' })).not.toBe('');
    const hidden = { ...EVERYWHERE, source: [{ kind: 'site' as const, name: 'alpha' }] };
    expect(scopeOf(hidden).source).toEqual(NOBODY);
  });

  it('of an incident is exactly what it is about', () => {
    const about = (changes: Partial<Incident>) => {
      return sayScope(scopeOf(scopeOfIncident(incident(changes), AGENTS)), nameOf);
    };
    expect(about({ agents: [AGENTS[0].id] })).toBe('All about alpha-1');
    expect(about({ subject: 'pair', agents: [AGENTS[0].id, AGENTS[2].id] })).toBe(
      'Between alpha-1 and beta-1',
    );
    expect(about({ subject: 'site', sites: ['alpha'] })).toBe('All about site alpha');
    expect(about({ subject: 'mesh' })).toBe('Everywhere');
  });

  it('suggests what begins with the letters first, and a tag only when nothing else fits', () => {
    const names = (text: string) =>
      suggestions(text, AGENTS, [{ kind: 'agent', name: 'alpha-2' }], 8).map(
        ({ kind, name }) => `${kind}:${name}`,
      );
    expect(names('al')).toEqual(['site:alpha', 'agent:alpha-1']);
    expect(names('site:')).toEqual(['site:alpha', 'site:beta']);
    expect(names('edge')).toEqual(['tag:edge']);
    expect(names('tag:edge')).toEqual(['tag:edge']);
    expect(names('1')).toEqual(['agent:alpha-1', 'agent:beta-1']);
  });
});
