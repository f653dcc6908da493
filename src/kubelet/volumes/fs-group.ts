import { chmod, lchown, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const SETGID = 0o2000;

/**
 * Gives everything in a volume to the pod's fsGroup, as `pkg/volume/volume_linux.go` does: group read (and write), on directories
 * also execute and setgid, so that new files get the group too. For trees that no container has touched yet.
 * @param group nothing is done when undefined
 */
export async function applyFsGroup(
  path: string,
  group: number | undefined,
  access: 'readOnly' | 'readWrite',
): Promise<void> {
  if (group === undefined) return;
  const stat = await lstat(path);
  await lchown(path, stat.uid, group);
  if (stat.isSymbolicLink()) return;
  const mask = access === 'readOnly' ? 0o440 : 0o660;
  if (!stat.isDirectory()) return chmod(path, (stat.mode & 0o7777) | mask);
  await chmod(path, (stat.mode & 0o7777) | mask | 0o110 | SETGID);
  for (const name of await readdir(path)) await applyFsGroup(join(path, name), group, access);
}
