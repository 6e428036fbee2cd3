import { describe, expect, it } from 'vitest';
import { passwordFault, secretOf } from '../src/model/welcome';

const SECRET = 'Zm9vYmFyLWZvb2Jhcl9mb29iYXItZm9vYmFyX2Zvb2I';

describe('the link of an invitation', () => {
  it('carries its secret where a browser sends it to nobody', () => {
    expect(secretOf(`#${SECRET}`)).toBe(SECRET);
    expect(secretOf(`#${SECRET} `)).toBe(SECRET);
  });

  it('is not tried when it was not copied whole', () => {
    for (const cut of ['', '#', `#${SECRET.slice(1)}`, `#${SECRET}x`, `#${SECRET.slice(1)}/`])
      expect(secretOf(cut), cut).toBeNull();
  });
});

describe('a new password', () => {
  it('has ten characters, counted as people count', () => {
    expect(passwordFault('nine char', 'nine char')).toBe('That is 9 characters; 10 are the least.');
    expect(passwordFault('ten chars!', 'ten chars!')).toBe('');
    expect(passwordFault('\u{1f980}'.repeat(5), '\u{1f980}'.repeat(5))).toContain('are the least');
    expect(passwordFault('\u{1f980}'.repeat(10), '\u{1f980}'.repeat(10))).toBe('');
  });

  it('is typed twice alike', () => {
    expect(passwordFault('correct horse', 'correct hoarse')).toContain('differ');
  });
});
