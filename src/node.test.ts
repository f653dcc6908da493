import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type NodeOptions, startNode } from './node.ts';

test.each<[object, string]>([
  [{ port: 99_999 }, '--port: invalid value 99999: must be a whole number from 0 to 65535'],
  [{ podCidr: '10.1.0.0/16' }, 'startNode: there is no option "podCidr"'],
])('startNode(%j) is refused, and leaves no directory', async (options, message) => {
  const directory = mkdtempSync(join(tmpdir(), 'node-test-'));
  vi.stubEnv('TMPDIR', directory);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(directory, { recursive: true });
  });
  await expect(startNode(options as NodeOptions)).rejects.toMatchObject({ message });
  expect(readdirSync(directory)).toEqual([]);
});
