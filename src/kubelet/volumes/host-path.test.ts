import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HostPathVolumeSource } from '../../api/generated/types.ts';
import { setUpHostPath } from './host-path.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kl-hostpath-'));
  mkdirSync(join(dir, 'd'));
  writeFileSync(join(dir, 'f'), '');
  symlinkSync('d', join(dir, 'link'));
});
afterEach(() => rmSync(dir, { recursive: true }));

type Type = NonNullable<HostPathVolumeSource['type']>;
const setUp = (name: string, type?: Type): Promise<void> =>
  setUpHostPath({ path: name.startsWith('/') ? name : join(dir, name), ...(type ? { type } : {}) });

test.each<[string, Type | undefined]>([
  ['nope', undefined],
  ['f', undefined],
  ['d', 'Directory'],
  ['link', 'Directory'],
  ['d', 'DirectoryOrCreate'],
  ['f', 'File'],
  ['f', 'FileOrCreate'],
  ['/dev/null', 'CharDevice'],
])('%s as %s', async (name, type) => {
  await expect(setUp(name, type)).resolves.toBeUndefined();
});

test.each<[string, Type, string]>([
  ['nope', 'Directory', 'hostPath type check failed: DIR/nope is not a directory'],
  ['f', 'Directory', 'hostPath type check failed: DIR/f is not a directory'],
  ['f', 'DirectoryOrCreate', 'hostPath type check failed: DIR/f is not a directory'],
  ['d', 'File', 'hostPath type check failed: DIR/d is not a file'],
  ['d', 'FileOrCreate', 'hostPath type check failed: DIR/d is not a file'],
  ['f/x', 'File', 'hostPath type check failed: DIR/f/x is not a file'],
  ['f', 'Socket', 'hostPath type check failed: DIR/f is not a socket file'],
  ['/dev/null', 'BlockDevice', 'hostPath type check failed: /dev/null is not a block device'],
])('%s is no %s', async (name, type, message) => {
  await expect(setUp(name, type)).rejects.toThrow(message.replace('DIR', dir));
});

test('what is missing is made', async () => {
  await setUp('new/deep', 'DirectoryOrCreate');
  expect(statSync(join(dir, 'new/deep')).mode & 0o777).toBe(0o755);
  await setUp('new/file', 'FileOrCreate');
  expect(statSync(join(dir, 'new/file')).mode & 0o777).toBe(0o644);
});

test('a socket', async () => {
  const server = createServer().listen(join(dir, 's'));
  await new Promise((resolve) => server.once('listening', resolve));
  await expect(setUp('s', 'Socket')).resolves.toBeUndefined();
  await new Promise((resolve) => server.close(resolve));
});

test('no way back out', async () => {
  await expect(setUpHostPath({ path: '/var/../etc' })).rejects.toThrow(
    "invalid HostPath `/var/../etc`: must not contain '..'",
  );
});
