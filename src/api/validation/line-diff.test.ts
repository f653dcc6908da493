import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { unifiedDiff } from './line-diff.ts';

test('the same', () => {
  expect(unifiedDiff(['a', 'b'], ['a', 'b'])).toBe('');
});

test('one changed line with its context', () => {
  const before = Array.from({ length: 9 }, (_, i) => String(i + 1));
  expect(unifiedDiff(before, before.with(4, 'x'))).toBe('@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n');
});

test('changes far apart are hunks of their own, near ones share one', () => {
  const before = Array.from({ length: 20 }, (_, i) => String(i + 1));
  expect(unifiedDiff(before, before.with(0, 'x').with(19, 'y')).match(/^@@.*$/gm)).toEqual([
    '@@ -1,4 +1,4 @@',
    '@@ -17,4 +17,4 @@',
  ]);
  expect(unifiedDiff(before, before.with(0, 'x').with(7, 'y')).match(/^@@.*$/gm)).toEqual(['@@ -1,11 +1,11 @@']);
});

test('lines only added, or only removed', () => {
  expect(unifiedDiff([], ['a'])).toBe('@@ -0,0 +1 @@\n+a\n');
  expect(unifiedDiff(['a', 'b'], [])).toBe('@@ -1,2 +0,0 @@\n-a\n-b\n');
});

test('patch makes the new text out of the old one', () => {
  const directory = mkdtempSync(join(tmpdir(), 'line-diff-'));
  const [file, patch] = [join(directory, 'file'), join(directory, 'patch')];
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 30 });
  try {
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const difference = unifiedDiff(before, after);
        fc.pre(difference !== '');
        writeFileSync(file, `${before.join('\n')}\n`);
        writeFileSync(patch, `--- file\n+++ file\n${difference}`);
        const result = execFileSync('git', ['apply', '--unsafe-paths', '--unidiff-zero', patch], {
          cwd: directory,
          encoding: 'utf8',
          stdio: 'pipe',
        });
        expect(result).toBe('');
        expect(execFileSync('cat', [file], { encoding: 'utf8' })).toBe(`${after.join('\n')}\n`);
      }),
      { numRuns: 5 },
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
