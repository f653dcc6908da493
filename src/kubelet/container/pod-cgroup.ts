import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../lib/errors.ts';

const QOS_DIRS = ['', 'burstable', 'besteffort'];

/**
 * The cgroup under which the runtime puts all of a pod, as upstream's cgroupfs driver names it. runc makes it, in every
 * hierarchy there is, and on cgroup v2 turns the controllers on down to it.
 * @param parent the instance's, such as `/kubelette/ID`
 */
export function podCgroup(parent: string, podUID: string, qosClass: string | undefined): string {
  const qos = qosClass === 'Guaranteed' ? '' : qosClass === 'Burstable' ? 'burstable' : 'besteffort';
  return join(parent, qos, `pod${podUID}`);
}

/**
 * Removes the pod's cgroups, which runc leaves behind, from every hierarchy: cgroup v2 is mounted at `/sys/fs/cgroup`, v1 has a
 * directory per controller in it, and a hybrid host has v2 as `unified` among those. Cgroups that still hold something stay.
 * @param root `/sys/fs/cgroup`, but for tests
 */
export async function removePodCgroups(parent: string, podUID: string, root = '/sys/fs/cgroup'): Promise<void> {
  const hierarchies = [root, ...(await subdirectories(root))];
  for (const hierarchy of hierarchies) {
    for (const qos of QOS_DIRS) await removeEmpty(join(hierarchy, parent, qos, `pod${podUID}`));
  }
}

/** Only directories can be removed in a cgroup file system; its files go with them. */
async function removeEmpty(dir: string): Promise<void> {
  for (const child of await subdirectories(dir)) await removeEmpty(child);
  try {
    await rmdir(dir);
  } catch (error) {
    if (!['ENOENT', 'EBUSY', 'ENOTEMPTY', 'EROFS', 'EACCES'].includes(errnoOf(error) ?? '')) throw error;
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
