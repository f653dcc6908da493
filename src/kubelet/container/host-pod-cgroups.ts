import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../../api/generated/types.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { PodCgroups } from '../ports.ts';
import { MIN_SHARES, QUOTA_PERIOD_US } from './container-resources.ts';
import { CGROUP_ROOT, hasUnifiedCgroups, podCgroup, qosCgroups } from './pod-cgroup.ts';
import { burstableShares, type CgroupResources, cpuWeight, podCgroupResources } from './pod-cgroup-resources.ts';

/** Tells the kernel what pods have against each other. The cgroups themselves are made by runc, with a pod's sandbox. */
export class HostPodCgroups implements PodCgroups {
  private readonly parent: string;
  private readonly pods: () => readonly Pod[];
  private readonly logger: Logger;
  private readonly root: string;
  private readonly isUnified: boolean;

  /**
   * @param options.pods those of this node that have not ended
   * @param options.root `CGROUP_ROOT`, but for tests
   */
  constructor(options: {
    readonly parent: string;
    readonly pods: () => readonly Pod[];
    readonly logger: Logger;
    readonly root?: string;
  }) {
    this.parent = options.parent;
    this.pods = options.pods;
    this.logger = options.logger;
    this.root = options.root ?? CGROUP_ROOT;
    this.isUnified = hasUnifiedCgroups(this.root);
  }

  set(pod: Pod): void {
    this.write(podCgroup(this.parent, pod.metadata.uid ?? '', pod.status?.qosClass), podCgroupResources(pod));
    this.balance();
  }

  balance(): void {
    const { burstable, bestEffort } = qosCgroups(this.parent);
    this.write(burstable, { cpuShares: burstableShares(this.pods()) });
    this.write(bestEffort, { cpuShares: MIN_SHARES });
  }

  private write(cgroup: string, { cpuShares, cpuQuotaUs, memoryLimit }: CgroupResources): void {
    if (this.isUnified) {
      const dir = join(this.root, cgroup);
      this.put(dir, 'cpu.weight', cpuWeight(cpuShares));
      if (cpuQuotaUs !== undefined) this.put(dir, 'cpu.max', `${cpuQuotaUs} ${QUOTA_PERIOD_US}`);
      if (memoryLimit !== undefined) this.put(dir, 'memory.max', memoryLimit);
      return;
    }
    const cpu = join(this.root, 'cpu', cgroup);
    this.put(cpu, 'cpu.shares', cpuShares);
    if (cpuQuotaUs !== undefined) {
      this.put(cpu, 'cpu.cfs_period_us', QUOTA_PERIOD_US);
      this.put(cpu, 'cpu.cfs_quota_us', cpuQuotaUs);
    }
    if (memoryLimit !== undefined) this.put(join(this.root, 'memory', cgroup), 'memory.limit_in_bytes', memoryLimit);
  }

  /** A host, or a runtime of the user's, that has no such cgroup does without. */
  private put(dir: string, file: string, value: number | string): void {
    try {
      writeFileSync(join(dir, file), String(value), { flag: 'r+' });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') this.logger.warn({ file: join(dir, file), value }, messageOf(error));
    }
  }
}
