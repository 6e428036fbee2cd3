import { describe, expect, it } from 'vitest';
import { errorOf, fieldErrors } from '../src/model/problem';
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
  it('are found by the pointer of a problem document', () => {
    const errors = fieldErrors({
      errors: [
        { pointer: '#/site', detail: 'Too long.' },
        { pointer: '/channels/0/url', detail: 'Not a URL.' },
        { pointer: '#/a~1b', detail: 'Odd.' },
        { pointer: '#/site', detail: 'No spaces.' },
      ],
    });
    expect(errorOf(errors, 'site')).toBe('Too long. No spaces.');
    expect(errorOf(errors, 'channels.0.url')).toBe('Not a URL.');
    expect(errorOf(errors, 'a/b')).toBe('Odd.');
    expect(errorOf(errors, 'uses')).toBe('');
  });

  it('are none in a body of another shape', () => {
    for (const body of [undefined, null, 'x', {}, { errors: 'x' }, { errors: [null, 1, {}] }]) {
      expect(fieldErrors(body)).toEqual([]);
    }
  });
});
