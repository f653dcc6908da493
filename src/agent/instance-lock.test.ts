import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { instanceLayout } from '../lib/instance.ts';
import { tryLockInstance } from './instance-lock.ts';

const dir = mkdtempSync(join(tmpdir(), 'kubelette-lock-'));
const layout = { ...instanceLayout(dir), runDir: dir };
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('is held by one at a time', () => {
  const lock = tryLockInstance(layout)!;
  expect(tryLockInstance(layout)).toBeUndefined();
  lock.release();
  const next = tryLockInstance(layout)!;
  expect(next).toBeDefined();
  next.release();
});
