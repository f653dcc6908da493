import fs, { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { type InstanceLayout, instanceLayout } from '../lib/instance.ts';
import { prepareRootDir } from './prepare-root-dir.ts';
import { stopInstance } from './stop-instance.ts';

let dir: string;
let layout: InstanceLayout;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kubelette-stop-'));
  layout = { ...instanceLayout(join(dir, 'root')), runDir: join(dir, 'run') };
  vi.spyOn(process, 'geteuid').mockReturnValue(1000);
});
afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  rmSync(dir, { recursive: true, force: true });
});

const stop = (purge: boolean): Promise<boolean> =>
  stopInstance(layout, { purge, clock: new FakeClock(), onProgress: () => {} });

/** As if it were root's (0700). */
function hide(path: string): void {
  const { statSync } = fs;
  vi.spyOn(fs, 'statSync').mockImplementation((...args) => {
    if (String(args[0]).startsWith(path)) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    return statSync(...args);
  });
  syncBuiltinESMExports();
}

const REFUSAL = 'permission denied: only root can see and stop what runs on ';

it('refuses whoever is not root, unless there is nothing', async () => {
  expect(await stop(true)).toBe(false);
  prepareRootDir(layout);
  expect(await stop(false)).toBe(false);
  await expect(stop(true)).rejects.toThrow(REFUSAL + layout.rootDir);
  mkdirSync(layout.runDir);
  await expect(stop(false)).rejects.toThrow(REFUSAL + layout.rootDir);
});

it.each([
  ['run directory', 'run', false],
  ['root directory', 'root', true],
])('does not take a %s that it cannot see for none', async (_what, name, purge) => {
  hide(join(dir, name));
  await expect(stop(purge)).rejects.toThrow(REFUSAL + layout.rootDir);
});
