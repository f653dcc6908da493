import { describe, expect, it } from 'vitest';
import { diffRelist } from './diff-relist.ts';

const known = (entries: Record<string, [state: string, seq: number]>) =>
  new Map(Object.entries(entries).map(([id, [state, seq]]) => [id, { state, seq }]));

describe('diffRelist', () => {
  it('finds what is new, what changed and what is gone', () => {
    const before = known({ same: ['running', 1], changed: ['running', 2], gone: ['exited', 3] });
    const listed = new Map([
      ['same', 'running'],
      ['changed', 'exited'],
      ['new', 'created'],
    ]);
    expect(diffRelist(before, listed, 3)).toEqual({ changed: ['changed', 'new'], gone: ['gone'] });
  });

  it('does not believe an answer about what changed after the question', () => {
    const before = known({ created: ['created', 8], started: ['running', 9] });
    expect(diffRelist(before, new Map([['started', 'created']]), 7)).toEqual({ changed: [], gone: [] });
  });
});
