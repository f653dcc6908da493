import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { EmptyDirVolumeSource, Pod } from '../../api/generated/types.ts';
import { quantityValue } from '../../api/quantity.ts';
import { podCgroupResources } from '../container/pod-cgroup-resources.ts';
import { applyFsGroup } from './fs-group.ts';
import type { Mounter } from './mounter.ts';

/**
 * Makes an emptyDir volume at `dir` (`pkg/volume/emptydir/empty_dir.go`): mode 0777, or a tmpfs with medium Memory. What was set
 * up before is left alone, contents and all; only a tmpfs that a reboot took away is mounted anew.
 * @param marker the file that says that the volume is complete
 * @param memoryBytes the most a Memory volume may hold when nothing else limits it
 */
export async function setUpEmptyDir(
  pod: Pod,
  source: EmptyDirVolumeSource,
  dir: string,
  marker: string,
  mounter: Mounter,
  memoryBytes: number,
): Promise<void> {
  const medium = source.medium ?? '';
  if (medium !== '' && medium !== 'Memory') throw new Error(`unknown storage medium ${JSON.stringify(medium)}`);
  const mounted = medium === 'Memory' && (await mounter.below(dir)).includes(dir);
  if (existsSync(marker) && (medium === '' || mounted)) return;
  rmSync(marker, { force: true });
  mkdirSync(dir, { recursive: true, mode: 0o750 });
  if (medium === 'Memory') {
    // A tmpfs has the sticky bit, as the kernel makes it; upstream keeps it.
    if (!mounted) await mounter.tmpfs(dir, ['mode=1777', `size=${memoryLimit(pod, source, memoryBytes)}`]);
  } else {
    chmodSync(dir, 0o777);
  }
  await applyFsGroup(dir, pod.spec?.securityContext?.fsGroup, 'readWrite');
  mkdirSync(dirname(marker), { recursive: true, mode: 0o750 });
  writeFileSync(marker, '');
}

/** The smallest of the volume's own limit, the pod's memory limit, if it has one, and the node's memory. */
export function memoryLimit(pod: Pod, { sizeLimit }: EmptyDirVolumeSource, memoryBytes: number): number {
  const own = sizeLimit === undefined ? 0 : quantityValue(String(sizeLimit));
  const limits = [podCgroupResources(pod).memoryLimit ?? 0, own];
  return Math.min(memoryBytes, ...limits.filter((limit) => limit > 0));
}
