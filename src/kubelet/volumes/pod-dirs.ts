import { join } from 'node:path';

/** Volume plugins by the directory names that upstream gives them (`kubernetes.io/empty-dir`, escaped). */
export type VolumePlugin = 'empty-dir' | 'configmap' | 'secret' | 'downward-api' | 'projected';

/** Everything on disk of one pod: `pkg/kubelet/kubelet_getters.go`. */
export function podDir(podsDir: string, podUID: string): string {
  return join(podsDir, podUID);
}

/** Where a volume's contents are. */
export function volumeDir(podsDir: string, podUID: string, plugin: VolumePlugin, volume: string): string {
  return join(podDir(podsDir, podUID), 'volumes', `kubernetes.io~${plugin}`, volume);
}

/** The file that says that a volume was set up completely: after a crash half-done work is done again, finished work is not. */
export function readyMarker(podsDir: string, podUID: string, plugin: VolumePlugin, volume: string): string {
  return join(podDir(podsDir, podUID), 'plugins', `kubernetes.io~${plugin}`, volume, 'ready');
}

/** Where one `subPath` mount of a container is bound, so that nobody can exchange it under the runtime's hands. */
export function subPathTarget(
  podsDir: string,
  podUID: string,
  volume: string,
  container: string,
  index: number,
): string {
  return join(podDir(podsDir, podUID), 'volume-subpaths', volume, container, String(index));
}

/** The pod's `/etc/hosts`. */
export function etcHostsFile(podsDir: string, podUID: string): string {
  return join(podDir(podsDir, podUID), 'etc-hosts');
}

/** What a container instance writes to its terminationMessagePath. One file per instance, found again after our restart. */
export function terminationMessageFile(
  podsDir: string,
  podUID: string,
  container: string,
  restartCount: number,
): string {
  return join(podDir(podsDir, podUID), 'containers', container, `${restartCount}.termination`);
}
