import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { silentLogger } from '../lib/logger.ts';
import { hostResolvers } from './host-resolvers.ts';

const dir = mkdtempSync(join(tmpdir(), 'kubelette-resolv-'));
const file = join(dir, 'resolv.conf');
afterAll(() => rmSync(dir, { recursive: true }));

test('the servers of a resolv.conf, without ourselves and what is no address, as the file says now', async () => {
  const warnings: string[] = [];
  const logger = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) };
  const servers = hostResolvers(file, '10.96.0.10', logger);
  expect(await servers()).toEqual([]);
  writeFileSync(file, 'nameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver dns.example\n');
  expect(await servers()).toEqual(['192.0.2.1', 'fe80::1%eth0']);
  writeFileSync(join(dir, 'new'), 'nameserver 192.0.2.2\n');
  renameSync(join(dir, 'new'), file);
  expect(await servers()).toEqual(['192.0.2.2']);
  // Away for a moment: as before.
  rmSync(file);
  expect(await servers()).toEqual(['192.0.2.2']);
  expect(await servers()).toEqual(['192.0.2.2']);
  expect(warnings).toHaveLength(1);
});
