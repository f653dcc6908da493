import type { Pod } from '../../api/generated/types.ts';
import { podResources } from '../../api/pod-resources.ts';
import { qosClassOf } from '../../api/qos.ts';
import { quantityMillis, thousandths, wholeUnits } from '../../api/quantity.ts';
import { cpuQuota, cpuShares, MIN_SHARES } from './container-resources.ts';

/** What the kernel is told of a cgroup of pods. */
export interface CgroupResources {
  readonly cpuShares: number;
  /** Microseconds in 100,000; undefined is no limit. */
  readonly cpuQuotaUs?: number | undefined;
  /** Bytes; undefined is no limit. */
  readonly memoryLimit?: number | undefined;
}

/**
 * A pod's share against other pods, and what its containers may use together: limits where every container has one. Pure.
 * Source: `pkg/kubelet/cm/helpers_linux.go`, ResourceConfigForPod.
 */
export function podCgroupResources(pod: Pod): CgroupResources {
  const qosClass = qosClassOf(pod);
  if (qosClass === 'BestEffort') return { cpuShares: MIN_SHARES };
  const { cpu, memory } = podResources(pod, 'limits');
  const isLimited = (name: string): boolean => qosClass === 'Guaranteed' || allLimited(pod, name);
  return {
    cpuShares: cpuShares(cpuRequest(pod)),
    cpuQuotaUs: cpu && isLimited('cpu') ? cpuQuota(thousandths(cpu)) : undefined,
    memoryLimit: memory && isLimited('memory') ? wholeUnits(memory) : undefined,
  };
}

/** What the Burstable pods, all together, have against each Guaranteed one (`qos_container_manager_linux.go`). Pure. */
export function burstableShares(pods: readonly Pod[]): number {
  const burstable = pods.filter((pod) => qosClassOf(pod) === 'Burstable');
  return cpuShares(burstable.reduce((sum, pod) => sum + cpuRequest(pod), 0));
}

/** Shares as cgroup v2 counts them: 2 to 262144 become 1 to 10000 (`pkg/kubelet/cm/cgroup_manager_linux.go`). */
export function cpuWeight(shares: number): number {
  return 1 + Math.floor(((shares - MIN_SHARES) * 9999) / 262_142);
}

function cpuRequest(pod: Pod): number {
  const { cpu } = podResources(pod, 'requests');
  return cpu ? thousandths(cpu) : 0;
}

function allLimited({ spec }: Pod, name: string): boolean {
  return [...spec.containers, ...(spec.initContainers ?? [])].every(({ resources }) => {
    const limit = resources?.limits?.[name];
    return limit !== undefined && quantityMillis(String(limit)) > 0;
  });
}
