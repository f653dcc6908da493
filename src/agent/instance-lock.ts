import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { InstanceLayout } from '../lib/instance.ts';

/** Held by the one process that may change an instance: its agent, or a `down` that clears up after it. */
export interface InstanceLock {
  release(): void;
}

/**
 * Takes the instance's lock, or returns undefined when another process holds it. SQLite's file lock is the kernel's own: it is
 * atomic, and goes away with its process, however that dies.
 */
export function tryLockInstance(layout: InstanceLayout): InstanceLock | undefined {
  mkdirSync(layout.runDir, { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(join(layout.runDir, 'lock'));
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if ((error as { errcode?: number }).errcode === 5 /* SQLITE_BUSY */) return undefined;
    throw error;
  }
  return { release: () => db.close() };
}
