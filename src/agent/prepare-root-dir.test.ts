import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { instanceLayout } from '../lib/instance.ts';
import { prepareRootDir, removeRootDir } from './prepare-root-dir.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kubelette-root-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('makes a private directory, takes it again, and removes it whole', () => {
  const layout = instanceLayout(join(dir, 'new'));
  prepareRootDir(layout);
  prepareRootDir(layout);
  expect(statSync(layout.rootDir).mode & 0o777).toBe(0o700);
  removeRootDir(layout);
  expect(existsSync(layout.rootDir)).toBe(false);
});

it('neither uses nor removes a directory with something of another', () => {
  writeFileSync(join(dir, 'thesis.txt'), 'mine');
  const layout = instanceLayout(dir);
  expect(() => prepareRootDir(layout)).toThrow(`--root-dir: ${dir} is not empty and was not made by kubelette`);
  removeRootDir(layout);
  expect(existsSync(join(dir, 'thesis.txt'))).toBe(true);
});

it('says which directory cannot be used and why', () => {
  writeFileSync(join(dir, 'file'), '');
  expect(() => prepareRootDir(instanceLayout(join(dir, 'file')))).toThrow(/--root-dir: cannot use .*file: .*EEXIST/);
});
