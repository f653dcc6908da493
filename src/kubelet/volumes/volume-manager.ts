import { existsSync, mkdirSync } from 'node:fs';
import { chmod, mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Pod, Volume } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { abortReason, assert, errnoOf, messageOf } from '../../lib/errors.ts';
import type { NodeCapacity } from '../container/resource-field-ref.ts';
import type { MountedVolumes, NodeSettings, VolumeManager } from '../ports.ts';
import { writeAtomically } from './atomic-writer.ts';
import type { ConfigObjects } from './config-objects.ts';
import { volumePayload } from './config-payload.ts';
import { setUpEmptyDir } from './empty-dir.ts';
import { applyFsGroup } from './fs-group.ts';
import { setUpHostPath } from './host-path.ts';
import type { Mounter } from './mounter.ts';
import { podDir, readyMarker, type VolumePlugin, volumeDir } from './pod-dirs.ts';

export interface VolumeFailure {
  readonly volume: string;
  /** The whole text of the FailedMount event. */
  readonly message: string;
}

type SetUpResult = Awaited<ReturnType<VolumeManager['setUp']>>;
type Mounted = { readonly hostPath: string; readonly readOnly: boolean };

/** How often unmounting starts over when mounts were hidden under others. */
const UNMOUNT_ROUNDS = 4;

/**
 * The volumes of pods on this host: emptyDir, hostPath, configMap, secret, downwardAPI, projected. The layout below the pods'
 * directory is upstream's. What was set up is remembered, so that a container's restart costs nothing.
 */
export class HostVolumeManager implements VolumeManager {
  private readonly settings: NodeSettings;
  private readonly capacity: NodeCapacity;
  private readonly objects: ConfigObjects;
  private readonly mounter: Mounter;
  private readonly clock: Clock;
  private readonly mounted = new Map<string, MountedVolumes>();
  /** The tail of each pod's work, so that a refresh never runs into a tear-down. */
  private readonly tails = new Map<string, Promise<unknown>>();
  private root: Promise<string> | undefined;

  constructor(options: {
    readonly settings: NodeSettings;
    readonly capacity: NodeCapacity;
    readonly objects: ConfigObjects;
    readonly mounter: Mounter;
    readonly clock: Clock;
  }) {
    this.settings = options.settings;
    this.capacity = options.capacity;
    this.objects = options.objects;
    this.mounter = options.mounter;
    this.clock = options.clock;
  }

  setUp(pod: Pod, signal: AbortSignal): Promise<SetUpResult> {
    const uid = podUIDOf(pod);
    const known = this.mounted.get(uid);
    if (known) return Promise.resolve({ ok: true, volumes: known });
    return this.serially(uid, () => this.setUpAll(pod, uid, signal));
  }

  /**
   * Brings configMap, secret, downwardAPI and projected volumes of a pod, those that are set up, to what the API server holds now. For
   * a change of such an object, or of the pod's labels and annotations. Resolves with what could not be refreshed; the old files stay.
   */
  async refresh(pod: Pod): Promise<VolumeFailure[]> {
    const uid = podUIDOf(pod);
    return this.serially(uid, async () => {
      const failures: VolumeFailure[] = [];
      for (const volume of usedVolumes(pod)) {
        const plugin = configPlugin(volume);
        // What was never set up, or is torn down, is not begun here. (After our restart the disk knows, we do not.)
        if (!plugin || !existsSync(volumeDir(await this.podsDir(), uid, plugin, volume.name))) continue;
        await this.attempt(volume, failures, () => this.setUpConfig(pod, uid, volume));
      }
      return failures;
    });
  }

  async tearDown(podUID: string): Promise<void> {
    assert(isPathComponent(podUID), `pod UID ${JSON.stringify(podUID)} is a file name`);
    return this.serially(podUID, async () => {
      this.mounted.delete(podUID);
      const dir = podDir(await this.podsDir(), podUID);
      let left = await this.mounter.below(dir);
      for (let round = 0; left.length > 0; round++) {
        for (const path of left) await this.mounter.unmount(path);
        left = await this.mounter.below(dir);
        // Deleting now would delete what is mounted.
        if (left.length > 0 && round === UNMOUNT_ROUNDS) throw new Error(`cannot unmount ${left[0]}`);
      }
      // rm deletes links, it does not follow them.
      await rm(dir, { recursive: true, force: true });
    });
  }

  async listPodUIDs(): Promise<string[]> {
    return readdir(await this.podsDir());
  }

  private async setUpAll(pod: Pod, uid: string, signal: AbortSignal): Promise<SetUpResult> {
    mkdirSync(podDir(await this.podsDir(), uid), { recursive: true, mode: 0o750 });
    const volumes = new Map<string, Mounted>();
    const failures: VolumeFailure[] = [];
    for (const volume of usedVolumes(pod)) {
      if (signal.aborted) throw abortReason(signal);
      await this.attempt(volume, failures, async () => {
        volumes.set(volume.name, await this.setUpOne(pod, uid, volume));
      });
    }
    if (failures.length > 0) return { ok: false, failures };
    this.mounted.set(uid, volumes);
    return { ok: true, volumes };
  }

  private async attempt(volume: Volume, failures: VolumeFailure[], work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const message = `MountVolume.SetUp failed for volume ${JSON.stringify(volume.name)} : ${messageOf(error)}`;
      failures.push({ volume: volume.name, message });
    }
  }

  private async setUpOne(pod: Pod, uid: string, volume: Volume): Promise<Mounted> {
    const podsDir = await this.podsDir();
    if (volume.hostPath) {
      await setUpHostPath(volume.hostPath);
      return { hostPath: volume.hostPath.path, readOnly: false };
    }
    if (volume.emptyDir) {
      const hostPath = volumeDir(podsDir, uid, 'empty-dir', volume.name);
      const marker = readyMarker(podsDir, uid, 'empty-dir', volume.name);
      const memory = this.settings.memoryCapacityBytes;
      await setUpEmptyDir(pod, volume.emptyDir, hostPath, marker, this.mounter, memory);
      return { hostPath, readOnly: false };
    }
    if (configPlugin(volume)) return this.setUpConfig(pod, uid, volume);
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'none';
    throw new Error(`volume source ${kind} is not supported by this node`);
  }

  private async setUpConfig(pod: Pod, uid: string, volume: Volume): Promise<Mounted> {
    const plugin = configPlugin(volume)!;
    const { nodeName, hostIP } = this.settings;
    const payload = await volumePayload(pod, volume, {
      objects: this.objects,
      fields: { nodeName, hostIP, podIPs: [] },
      capacity: this.capacity,
    });
    const hostPath = volumeDir(await this.podsDir(), uid, plugin, volume.name);
    await mkdir(hostPath, { recursive: true, mode: 0o750 });
    // Secrets and what may hold them never reach the disk.
    if (plugin !== 'configmap' && !(await this.mounter.below(hostPath)).includes(hostPath)) {
      await this.mounter.tmpfs(hostPath, ['mode=1777', `size=${this.settings.memoryCapacityBytes}`]);
    } else if (plugin === 'configmap' && ((await stat(hostPath)).mode & 0o777) !== 0o777) {
      // Otherwise left alone: setgid would go.
      await chmod(hostPath, 0o777);
    }
    const group = pod.spec?.securityContext?.fsGroup;
    // As upstream, the whole volume and not only what is new in it.
    await writeAtomically(hostPath, payload, this.clock.now(), () => applyFsGroup(hostPath, group, 'readOnly'));
    return { hostPath, readOnly: true };
  }

  /** The pods' directory without any link in its path: the kernel lists mounts by their real paths. */
  private podsDir(): Promise<string> {
    this.root ??= (async () => {
      await mkdir(dirname(this.settings.podsDir), { recursive: true });
      await mkdir(this.settings.podsDir, { mode: 0o750 }).catch((error: unknown) => {
        if (errnoOf(error) !== 'EEXIST') throw error;
      });
      return realpath(this.settings.podsDir);
    })();
    this.root.catch(() => {
      this.root = undefined;
    });
    return this.root;
  }

  private async serially<T>(podUID: string, work: () => Promise<T>): Promise<T> {
    const before = this.tails.get(podUID) ?? Promise.resolve();
    const mine = before.then(work, work);
    const tail = mine.then(
      () => {},
      () => {},
    );
    this.tails.set(podUID, tail);
    try {
      return await mine;
    } finally {
      if (this.tails.get(podUID) === tail) this.tails.delete(podUID);
    }
  }
}

/** The volumes that a container mounts; one that nobody mounts is not set up, and so cannot fail either. */
function usedVolumes(pod: Pod): Volume[] {
  const { containers = [], initContainers = [], ephemeralContainers = [], volumes = [] } = pod.spec ?? {};
  const used = new Set<string>();
  for (const container of [...containers, ...initContainers, ...ephemeralContainers]) {
    for (const mount of container.volumeMounts ?? []) used.add(mount.name);
  }
  return volumes.filter((volume) => used.has(volume.name));
}

function configPlugin(volume: Volume): Exclude<VolumePlugin, 'empty-dir'> | undefined {
  if (volume.configMap) return 'configmap';
  if (volume.secret) return 'secret';
  if (volume.downwardAPI) return 'downward-api';
  if (volume.projected) return 'projected';
  return undefined;
}

function podUIDOf(pod: Pod): string {
  const uid = pod.metadata.uid ?? '';
  assert(isPathComponent(uid), `pod UID ${JSON.stringify(uid)} is a file name`);
  return uid;
}

function isPathComponent(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}
