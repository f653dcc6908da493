import { mkdirSync, statSync } from 'node:fs';
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
  const path = join(layout.runDir, 'lock');
  mkdirSync(layout.runDir, { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(path);
  try {
    const opened = inodeOf(path);
    db.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    // `down` removes the file while it holds the lock: whoever had opened it before locks nothing.
    if (opened === undefined || inodeOf(path) !== opened) {
      db.close();
      return undefined;
    }
  } catch (error) {
    db.close();
    if ((error as { errcode?: number }).errcode === 5 /* SQLITE_BUSY */) return undefined;
    throw error;
  }
  return { release: () => db.close() };
}

function inodeOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino;
}
