import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Payload, writeAtomically } from './atomic-writer.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kl-atomic-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const payload = (files: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));
const text = (path: string): string => readFileSync(join(dir, path), 'utf8');

test('files appear through ..data, with their modes', async () => {
  await writeAtomically(dir, payload({ a: '1', 'sub/deep/b': '2' }, 0o440), NOW);
  expect(text('a')).toBe('1');
  expect(text('sub/deep/b')).toBe('2');
  expect(statSync(join(dir, 'a')).mode & 0o777).toBe(0o440);
  expect(readlinkSync(join(dir, 'a'))).toBe('..data/a');
  expect(readlinkSync(join(dir, 'sub'))).toBe('..data/sub');
  expect(readlinkSync(join(dir, '..data'))).toMatch(/^\.\.2026_01_02_03_04_05\./);
});

test('a change replaces everything at once; nothing old is left', async () => {
  await writeAtomically(dir, payload({ a: '1', gone: 'x', 'dir/f': 'x' }), NOW);
  const before = readlinkSync(join(dir, '..data'));
  await writeAtomically(dir, payload({ a: '2', b: '3' }), NOW);
  expect(text('a')).toBe('2');
  expect(text('b')).toBe('3');
  const after = readlinkSync(join(dir, '..data'));
  expect(after).not.toBe(before);
  expect(readdirSync(dir).sort()).toEqual(['..data', after, 'a', 'b'].sort());
});

test('no change touches nothing', async () => {
  const files = payload({ a: '1', 'sub/b': '2' });
  await writeAtomically(dir, files, NOW);
  const before = readlinkSync(join(dir, '..data'));
  await writeAtomically(dir, files, NOW + 60_000);
  expect(readlinkSync(join(dir, '..data'))).toBe(before);
});

test('what a crash left behind is mended', async () => {
  await writeAtomically(dir, payload({ a: '1' }), NOW);
  mkdirSync(join(dir, '..2025_half'));
  symlinkSync('nowhere', join(dir, '..data_tmp'));
  rmSync(join(dir, 'a'));
  await writeAtomically(dir, payload({ a: '1' }), NOW);
  expect(text('a')).toBe('1');
  expect(readdirSync(dir)).toHaveLength(3);
  await writeAtomically(dir, payload({ a: '2' }), NOW);
  expect(text('a')).toBe('2');
});

test('owners are set before anything is visible', async () => {
  await writeAtomically(dir, payload({ a: '1' }), NOW, async () => {
    const [fresh = ''] = readdirSync(dir).map((name) => join(dir, name));
    expect(readFileSync(join(fresh, 'a'), 'utf8')).toBe('1');
    expect(readdirSync(dir)).not.toContain('..data');
    writeFileSync(join(fresh, 'a'), 'prepared');
  });
  expect(text('a')).toBe('prepared');
});

test.each(['/etc/passwd', '../x', 'a/../../x', '..data', ''])('a path that leads elsewhere: %s', async (path) => {
  await expect(writeAtomically(dir, payload({ [path]: 'x' }), NOW)).rejects.toThrow('invalid path');
  expect(readdirSync(dir)).toEqual([]);
});
