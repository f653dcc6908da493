import { existsSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';

/** Where cgroup v2 is mounted, or a directory per controller of v1 (and, on a hybrid host, v2 as `unified` among those). */
export const CGROUP_ROOT = '/sys/fs/cgroup';
const BURSTABLE = 'burstable';
const BEST_EFFORT = 'besteffort';

/**
 * The cgroup under which the runtime puts all of a pod, as upstream's cgroupfs driver names it. runc makes it, in every
 * hierarchy there is, and on cgroup v2 turns the controllers on down to it.
 * @param parent the instance's, such as `/kubelette/ID`
 */
export function podCgroup(parent: string, podUID: string, qosClass: string | undefined): string {
  const qos = qosClass === 'Guaranteed' ? '' : qosClass === 'Burstable' ? BURSTABLE : BEST_EFFORT;
  return join(parent, qos, `pod${podUID}`);
}

/** Whether the host has cgroup v2 alone. @param root `CGROUP_ROOT`, but for tests */
export function hasUnifiedCgroups(root: string): boolean {
  return existsSync(join(root, 'cgroup.controllers'));
}

/** Above the pods' of each class but Guaranteed, which are right below the parent. */
export function qosCgroups(parent: string): { readonly burstable: string; readonly bestEffort: string } {
  return { burstable: join(parent, BURSTABLE), bestEffort: join(parent, BEST_EFFORT) };
}

/**
 * Removes the pod's cgroups, which runc leaves behind, from every hierarchy. Resolves with whether all are gone: one that the kernel
 * still holds stays.
 * @param root `CGROUP_ROOT`, but for tests
 */
export async function removePodCgroups(parent: string, podUID: string, root = CGROUP_ROOT): Promise<boolean> {
  let gone = true;
  for (const hierarchy of [root, ...(await subdirectories(root))]) {
    for (const qos of ['', BURSTABLE, BEST_EFFORT]) {
      if (!(await removeCgroup(join(hierarchy, parent, qos, `pod${podUID}`)))) gone = false;
    }
  }
  return gone;
}

/** Only directories can be removed in a cgroup file system; its files go with them. */
async function removeCgroup(dir: string): Promise<boolean> {
  for (const child of await subdirectories(dir)) await removeCgroup(child);
  try {
    await rmdir(dir);
    return true;
  } catch (error) {
    const code = errnoOf(error) ?? '';
    if (code === 'ENOENT') return true;
    if (['EBUSY', 'ENOTEMPTY', 'EROFS', 'EACCES'].includes(code)) return false;
    throw error;
  }
}

async function subdirectories(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => join(dir, entry.name));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return [];
    throw error;
  }
}
