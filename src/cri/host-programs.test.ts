import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { UserError } from '../lib/errors.ts';
import { findContainerdPrograms, systemPath } from './host-programs.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'programs-'));
  mkdirSync(join(dir, 'cni'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function install(...names: string[]): void {
  for (const name of names) {
    writeFileSync(join(dir, name), '');
    chmodSync(join(dir, name), 0o755);
  }
}

const find = () => findContainerdPrograms(`/nowhere:${dir}`, [join(dir, 'cni')]);

it('finds what a private containerd is made of', () => {
  install('containerd', 'containerd-shim-runc-v2', 'runc', 'cni/bridge', 'cni/host-local', 'cni/loopback');
  expect(find()).toEqual({ containerd: join(dir, 'containerd'), runc: join(dir, 'runc'), cniBinDir: join(dir, 'cni') });
});

it('names all that is missing at once, and the command that mends it', () => {
  install('runc', 'cni/bridge');
  writeFileSync(join(dir, 'containerd'), 'not executable', { mode: 0o644 });
  const failure = (() => {
    try {
      return find();
    } catch (error) {
      return error;
    }
  })();
  expect(failure).toBeInstanceOf(UserError);
  expect((failure as UserError).message).toBe(
    `not found on this machine: containerd; containerd-shim-runc-v2; the CNI plugins bridge, host-local, loopback (in ${dir}/cni)`,
  );
  expect((failure as UserError).hint).toBe('apt-get install -y containerd containernetworking-plugins');
});

it('adds the directories that sudo and cron leave out', () => {
  expect(systemPath('/my/bin:/usr/bin').split(':').slice(0, 4)).toEqual([
    '/my/bin',
    '/usr/bin',
    '/usr/local/sbin',
    '/usr/local/bin',
  ]);
  expect(systemPath('')).toContain('/usr/sbin');
});
