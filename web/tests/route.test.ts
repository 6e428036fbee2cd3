import { describe, expect, it } from 'vitest';
import { errorAt, errorOf, fieldErrors } from '../src/model/problem';
import { permits } from '../src/model/role';
import { agentPath, matchPath, pairPath } from '../src/model/route';

describe('the router', () => {
  it('reads names out of an address and forgives a slash at the end', () => {
    expect(matchPath('/', '/')).toEqual({});
    expect(matchPath('/agents', '/agents/')).toEqual({});
    expect(matchPath('/pairs/:source/:target', '/pairs/a/b')).toEqual({ source: 'a', target: 'b' });
  });

  it('fits nothing that is longer, shorter, other, or no percent-encoding', () => {
    expect(matchPath('/agents/:name', '/agents')).toBeNull();
    expect(matchPath('/agents', '/agents/a')).toBeNull();
    expect(matchPath('/agents', '/matrix')).toBeNull();
    expect(matchPath('/agents/:name', '/agents/%E0%A4%A')).toBeNull();
  });

  it('gives back the names that a path was made of', () => {
    for (const name of ['web-1.example', 'a b', 'ü', '100%', 'a/b']) {
      expect(matchPath('/agents/:name', agentPath(name))).toEqual({ name });
      const pair = matchPath('/pairs/:source/:target', pairPath(name, 'x'));
      expect(pair).toEqual({ source: name, target: 'x' });
    }
  });
});

describe('a role', () => {
  it('permits what it and those below it may', () => {
    expect(permits('admin', 'operator')).toBe(true);
    expect(permits('operator', 'operator')).toBe(true);
    expect(permits('viewer', 'operator')).toBe(false);
  });

  it('counts as the least when it is unknown, and as nothing when nobody is signed in', () => {
    expect(permits('emperor', 'viewer')).toBe(true);
    expect(permits('emperor', 'operator')).toBe(false);
    expect(permits(undefined, 'viewer')).toBe(false);
  });
});

describe('failures of fields', () => {
  it('are found by their place, with what is in it', () => {
    const errors = fieldErrors({
      faults: [
        { path: 'site', message: 'is too long' },
        { path: 'target.settings.to[1]', message: '`x`: Missing domain or user.' },
        { path: 'site', message: 'must not have spaces' },
        { path: 'sites', message: 'is another field' },
      ],
    });
    expect(errorOf(errors, 'site')).toBe('Is too long. Must not have spaces.');
    expect(errorOf(errors, 'target.settings.to')).toBe('x: Missing domain or user.');
    expect(errorAt(errors, 'target.settings.to')).toBe('');
    expect(errorOf(errors, 'uses')).toBe('');
  });

  it('call other fields what the forms call them', () => {
    const faults = [
      { path: 'for_s', message: 'must be at most 86400, which is a day' },
      { path: 'condition.below_us', message: 'must be at most `above_us`' },
      { path: 'channels[0]', message: 'there is no channel 7' },
    ];
    expect(fieldErrors({ faults }).map(({ detail }) => detail)).toEqual([
      'Must be at most a day.',
      'Must be at most the threshold.',
      'There is no channel 7.',
    ]);
  });

  it('are none in a body of another shape', () => {
    for (const body of [undefined, null, 'x', {}, { faults: 'x' }, { faults: [null, 1, {}] }]) {
      expect(fieldErrors(body)).toEqual([]);
    }
  });
});
