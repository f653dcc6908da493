import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { messageOf, UserError } from '../lib/errors.ts';
import { systemEnvironment } from './host-programs.ts';
import { mountTable } from './mount-table.ts';

/** Unmounts all that is mounted below these directories, newest first. @throws UserError when something does not go */
export async function unmountBelow(dirs: readonly string[]): Promise<void> {
  const targets = mountTable()
    .map(({ path }) => path)
    .filter((path) => dirs.some((dir) => path.startsWith(`${dir}/`)))
    .reverse();
  if (targets.length === 0) return;
  const env = systemEnvironment();
  try {
    await promisify(execFile)('umount', targets, { env });
  } catch {
    // Still in use by a process of somebody else (a shell that stands in it): detached, it goes when that one does.
    await promisify(execFile)('umount', ['-l', ...targets], { env }).catch((error: unknown) => {
      throw new UserError(`cannot unmount below ${dirs.join(', ')}: ${messageOf(error)}`);
    });
  }
}
