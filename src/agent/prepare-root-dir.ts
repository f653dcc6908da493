import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, messageOf, UserError } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';

/** Marks a directory as an instance's own, so that `down --purge` never deletes anything else. */
const MARKER = '.kubelette';
/** What a fresh ext4 volume has: it belongs to its file system. */
const LOST_AND_FOUND = 'lost+found';

/**
 * Creates the root directory, or takes one that is empty or that an earlier agent made. Only its owner may look into it then (0700),
 * nor may others read the database (0600), in which Secrets are.
 * @throws UserError when it cannot be made, or holds something that is not ours
 */
export function prepareRootDir(layout: InstanceLayout): void {
  try {
    makeDirectory(layout.rootDir);
    const isOurs = isOwnRootDir(layout);
    if (!isOurs && readdirSync(layout.rootDir).some((name) => name !== LOST_AND_FOUND)) {
      throw new UserError(`--root-dir: ${layout.rootDir} is not empty and was not made by kubelette`, {
        hint: 'Name a directory that does not exist yet, or an empty one.',
      });
    }
    chmodSync(layout.rootDir, 0o700);
    if (!isOurs) writeFileSync(join(layout.rootDir, MARKER), 'The state of a kubelette instance.\n');
    makePrivate(layout.database);
    mkdirSync(layout.podsDir, { recursive: true, mode: 0o700 });
    mkdirSync(layout.podLogsDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (errnoOf(error) === 'ENOSPC') throw diskFull(layout.rootDir, error);
    throw new UserError(`--root-dir: cannot use ${layout.rootDir}: ${messageOf(error)}`, { cause: error });
  }
}

/** As `mkdir -p` (0700). Not Node's own: it never ends where nothing can be made (/proc), and says ENOENT for EROFS. */
function makeDirectory(dir: string): void {
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST' && statSync(dir).isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(dirname(dir))) throw error;
    makeDirectory(dirname(dir));
    mkdirSync(dir, { mode: 0o700 });
  }
}

/** Makes a database that only its owner reads, or makes one so. SQLite gives a new log the mode of its database. */
function makePrivate(database: string): void {
  closeSync(openSync(database, 'a', 0o600));
  for (const file of [database, `${database}-wal`]) if (existsSync(file)) chmodSync(file, 0o600);
}

/** The clear sentence for ENOSPC, wherever it comes up. */
export function diskFull(dir: string, cause: unknown): UserError {
  return new UserError(`no space left on the disk that holds ${dir}`, {
    hint: `See what fills it: df -h ${dir}`,
    cause,
  });
}

/** Whether `prepareRootDir` made this directory. @throws the system's error (EACCES) when that cannot be seen */
export function isOwnRootDir(layout: InstanceLayout): boolean {
  return statSync(join(layout.rootDir, MARKER), { throwIfNoEntry: false }) !== undefined;
}

/**
 * Deletes the whole root directory, which must be ours and hold no other mount any more. Of a mount point the contents go. The mark goes
 * last: what was interrupted can be done again.
 */
export function removeRootDir(layout: InstanceLayout): void {
  if (!isOwnRootDir(layout)) return;
  for (const name of readdirSync(layout.rootDir)) {
    if (name !== MARKER && name !== LOST_AND_FOUND)
      rmSync(join(layout.rootDir, name), { recursive: true, force: true });
  }
  rmSync(join(layout.rootDir, MARKER));
  try {
    rmdirSync(layout.rootDir);
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') throw error;
  }
}
