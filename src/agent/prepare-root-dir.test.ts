import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
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

it('makes what was there before private: the directory, and the database with its log', () => {
  const layout = instanceLayout(join(dir, 'own'));
  mkdirSync(layout.rootDir, { mode: 0o755 });
  chmodSync(layout.rootDir, 0o755);
  prepareRootDir(layout);
  const files = [layout.database, `${layout.database}-wal`];
  const modes = (): number[] => [layout.rootDir, ...files].map((file) => statSync(file).mode & 0o777);
  writeFileSync(files[1]!, '');
  for (const file of files) chmodSync(file, 0o644);
  prepareRootDir(layout);
  expect(modes()).toEqual([0o700, 0o600, 0o600]);
});

it('a new database, and the log that SQLite makes for it, are nobody else’s', () => {
  const layout = instanceLayout(join(dir, 'own'));
  prepareRootDir(layout);
  const database = new DatabaseSync(layout.database);
  database.exec('PRAGMA journal_mode = WAL; CREATE TABLE secrets (value TEXT)');
  const modes = [layout.database, `${layout.database}-wal`].map((file) => statSync(file).mode & 0o777);
  database.close();
  expect(modes).toEqual([0o600, 0o600]);
});

it('empties a mount point, which cannot be removed', () => {
  const layout = instanceLayout(join(dir, 'volume'));
  prepareRootDir(layout);
  const busy = Object.assign(new Error('EBUSY: resource busy or locked'), { code: 'EBUSY' });
  const rmdir = vi.spyOn(fs, 'rmdirSync').mockImplementation(() => {
    throw busy;
  });
  syncBuiltinESMExports();
  mkdirSync(join(layout.rootDir, 'lost+found'));
  removeRootDir(layout);
  rmdir.mockRestore();
  syncBuiltinESMExports();
  expect(readdirSync(layout.rootDir)).toEqual(['lost+found']);
  prepareRootDir(layout);
});

it('neither uses nor removes a directory with something of another', () => {
  writeFileSync(join(dir, 'thesis.txt'), 'mine');
  chmodSync(dir, 0o755);
  const layout = instanceLayout(dir);
  expect(() => prepareRootDir(layout)).toThrow(`--root-dir: ${dir} is not empty and was not made by kubelette`);
  removeRootDir(layout);
  expect(existsSync(join(dir, 'thesis.txt'))).toBe(true);
  expect(statSync(dir).mode & 0o777).toBe(0o755);
});

it('says which directory cannot be used and why', () => {
  writeFileSync(join(dir, 'file'), '');
  expect(() => prepareRootDir(instanceLayout(join(dir, 'file')))).toThrow(/--root-dir: cannot use .*file: .*EEXIST/);
});

it('gives up where nothing can be made', () => {
  expect(() => prepareRootDir(instanceLayout('/proc/nothing/here'))).toThrow(
    /--root-dir: cannot use \/proc\/nothing\/here: .*(ENOENT|EACCES)/,
  );
});
