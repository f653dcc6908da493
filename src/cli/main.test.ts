import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const src = resolve(import.meta.dirname, '..');

/** The files of src that are loaded with this one: what it imports, other than types and what is imported when needed. */
function loadedWith(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, names, from] of text.matchAll(/^(?:import|export) ([^;'"]*?)from '(\..+)';$/gm)) {
    if (!names!.startsWith('type ')) loadedWith(join(dirname(file), from!), seen);
  }
  return seen;
}

test('until it is known which command it is, only what all of them need is loaded', () => {
  const loaded = [...loadedWith(join(src, 'cli/main.ts'))].map((file) => relative(src, file));
  expect(loaded).toContain('cli/commands/simulate.ts');
  const folders = new Set(loaded.map((file) => file.split('/')[0]));
  expect([...folders].sort()).toEqual(['api', 'cli', 'lib']);
});
