import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import type { RuntimeService } from '../../cri/runtime-service.ts';
import type { Clock } from '../../lib/clock.ts';
import { assert, errnoOf } from '../../lib/errors.ts';
import { containerLogPath } from '../container/generate-container-config.ts';
import { podLogDir } from '../container/generate-sandbox-config.ts';
import { removePodCgroups } from '../container/pod-cgroup.ts';
import type { ContainerGC, NodeSettings } from '../ports.ts';
import type { PodRuntimeStatus } from '../runtime-status.ts';
import { selectVictims } from './select-victims.ts';

/** The kernel lets go of a cgroup a moment after its last process. */
const CGROUP_TRIES = 5;
const CGROUP_RETRY_MS = 20;

/** Removes dead containers with their logs, and what a pod that is gone leaves on the host. */
export class RuntimeContainerGC implements ContainerGC {
  private readonly runtime: Pick<RuntimeService, 'removeContainer'>;
  private readonly settings: NodeSettings;
  private readonly clock: Clock;
  private readonly cgroupRoot: string | undefined;

  constructor(options: {
    readonly runtime: Pick<RuntimeService, 'removeContainer'>;
    readonly settings: NodeSettings;
    readonly clock: Clock;
    /** `/sys/fs/cgroup`, but for tests. */
    readonly cgroupRoot?: string;
  }) {
    this.runtime = options.runtime;
    this.settings = options.settings;
    this.clock = options.clock;
    this.cgroupRoot = options.cgroupRoot;
  }

  async collect(_pod: Pod, status: PodRuntimeStatus): Promise<void> {
    const dir = this.logDir(status);
    for (const victim of selectVictims(status)) {
      await this.runtime.removeContainer(victim.id);
      const sameLog = status.containers.some(
        (c) => c.id !== victim.id && c.name === victim.name && c.restartCount === victim.restartCount,
      );
      if (!sameLog) await removeLog(join(dir, containerLogPath(victim.name, victim.restartCount)));
    }
  }

  async removePod(pod: { readonly podUID: string; readonly namespace: string; readonly name: string }): Promise<void> {
    await rm(this.logDir(pod), { recursive: true, force: true });
    for (let tries = 1; !(await removePodCgroups(this.settings.cgroupParent, pod.podUID, this.cgroupRoot)); tries++) {
      if (tries === CGROUP_TRIES) return;
      await this.clock.sleep(CGROUP_RETRY_MS);
    }
  }

  /** Removes the logs and cgroups of every pod that is not among these: for the start, when the node knows what it has. */
  async retain(podUIDs: { has(podUID: string): boolean }): Promise<void> {
    for (const dir of await readdirIfThere(this.settings.podLogsDir)) {
      // NAMESPACE_NAME_UID; neither name has an underscore in it.
      const [namespace, name, podUID] = dir.split('_');
      if (namespace === undefined || name === undefined || podUID === undefined || podUIDs.has(podUID)) continue;
      await this.removePod({ namespace, name, podUID });
    }
  }

  private logDir(pod: { readonly podUID: string; readonly namespace: string; readonly name: string }): string {
    const dir = podLogDir(this.settings.podLogsDir, pod);
    assert(dirname(dir) === this.settings.podLogsDir, `${dir} is a pod's log directory`);
    return dir;
  }
}

/** The log and what was rotated out of it. */
async function removeLog(log: string): Promise<void> {
  const names = await readdirIfThere(dirname(log));
  const ours = names.filter((name) => name === basename(log) || name.startsWith(`${basename(log)}.`));
  for (const name of ours) await rm(join(dirname(log), name), { force: true });
}

async function readdirIfThere(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
