import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, messageOf, UserError } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';

/** Marks a directory as an instance's own, so that `down --purge` never deletes anything else. */
const MARKER = '.kubelette';

/**
 * Creates the root directory (0700), or takes one that an earlier agent made.
 * @throws UserError when it cannot be made, or holds something that is not ours
 */
export function prepareRootDir(layout: InstanceLayout): void {
  try {
    mkdirSync(layout.rootDir, { recursive: true, mode: 0o700 });
    const isOurs = existsSync(join(layout.rootDir, MARKER));
    if (!isOurs && readdirSync(layout.rootDir).length > 0) {
      throw new UserError(`--root-dir: ${layout.rootDir} is not empty and was not made by kubelette`, {
        hint: 'Name a directory that does not exist yet, or an empty one.',
      });
    }
    if (!isOurs) writeFileSync(join(layout.rootDir, MARKER), 'The state of a kubelette instance.\n');
    mkdirSync(layout.podsDir, { recursive: true, mode: 0o700 });
    mkdirSync(layout.podLogsDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (error instanceof UserError) throw error;
    if (errnoOf(error) === 'ENOSPC') throw diskFull(layout.rootDir, error);
    throw new UserError(`--root-dir: cannot use ${layout.rootDir}: ${messageOf(error)}`, { cause: error });
  }
}

/** The clear sentence for ENOSPC, wherever it comes up. */
export function diskFull(dir: string, cause: unknown): UserError {
  return new UserError(`no space left on the disk that holds ${dir}`, {
    hint: `See what fills it: df -h ${dir}`,
    cause,
  });
}

/** Whether `prepareRootDir` made this directory. */
export function isOwnRootDir(layout: InstanceLayout): boolean {
  return existsSync(join(layout.rootDir, MARKER));
}

/** Deletes the whole root directory, which must be ours and hold no mount any more. */
export function removeRootDir(layout: InstanceLayout): void {
  if (isOwnRootDir(layout)) rmSync(layout.rootDir, { recursive: true, force: true });
}
