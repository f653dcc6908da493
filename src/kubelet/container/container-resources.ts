import type { Container, Pod } from '../../api/generated/types.ts';
import { quantityMillis, quantityValue } from '../../api/quantity.ts';
import { LinuxContainerResources } from '../../cri/generated/cri.ts';

export const MIN_SHARES = 2;
const MAX_SHARES = 262_144;
const SHARES_PER_CPU = 1024;
/** Microseconds. */
export const QUOTA_PERIOD_US = 100_000;
/** The kernel refuses a smaller quota. */
const MIN_QUOTA_US = 1000;

/** What the kernel's out-of-memory killer is told (`pkg/kubelet/qos/policy.go`). */
const GUARANTEED_OOM_SCORE = -997;
const BEST_EFFORT_OOM_SCORE = 1000;

/** With cgroup v2 a container that is out of memory ends as a whole, as it does with v1 when its first process is the victim. */
const UNIFIED = { 'memory.oom.group': '1' };

/**
 * CPU weight and limit, memory limit and OOM score of a container (`pkg/kubelet/kuberuntime/kuberuntime_container_linux.go`).
 * @param isUnified whether the host has cgroup v2
 */
export function containerResources(
  pod: Pod,
  container: Container,
  memoryCapacityBytes: number,
  isUnified: boolean,
): LinuxContainerResources {
  const { limits = {}, requests = {} } = container.resources ?? {};
  const cpuLimit = limits.cpu === undefined ? 0 : quantityMillis(String(limits.cpu));
  const cpuRequest = requests.cpu === undefined ? cpuLimit : quantityMillis(String(requests.cpu));
  const memoryLimit = limits.memory === undefined ? 0 : quantityValue(String(limits.memory));
  return LinuxContainerResources.fromPartial({
    cpuShares: BigInt(cpuShares(cpuRequest)),
    cpuPeriod: BigInt(QUOTA_PERIOD_US),
    cpuQuota: BigInt(cpuQuota(cpuLimit)),
    memoryLimitInBytes: BigInt(memoryLimit),
    oomScoreAdj: BigInt(oomScoreAdj(pod, container, memoryCapacityBytes)),
    unified: isUnified ? UNIFIED : {},
  });
}

/** A CPU request as the weight that cgroup v1 knows. */
export function cpuShares(millis: number): number {
  return Math.min(MAX_SHARES, Math.max(MIN_SHARES, Math.floor((millis * SHARES_PER_CPU) / 1000)));
}

/** Microseconds a period; 0 is no limit. */
export function cpuQuota(millis: number): number {
  return millis === 0 ? 0 : Math.max(MIN_QUOTA_US, Math.floor((millis * QUOTA_PERIOD_US) / 1000));
}

/**
 * -997 for Guaranteed, 1000 for BestEffort; in between, the larger the share of the node's memory that a container asks for, the
 * later it is killed. A sidecar is not killed before the pod's containers.
 */
export function oomScoreAdj(pod: Pod, container: Container, memoryCapacityBytes: number): number {
  if (pod.spec?.priorityClassName === 'system-node-critical') return GUARANTEED_OOM_SCORE;
  const qosClass = pod.status?.qosClass;
  if (qosClass === 'Guaranteed') return GUARANTEED_OOM_SCORE;
  if (qosClass !== 'Burstable') return BEST_EFFORT_OOM_SCORE;
  let score = scoreOf(memoryRequest(container), memoryCapacityBytes);
  if (container.restartPolicy === 'Always' && pod.spec?.initContainers?.some((c) => c.name === container.name)) {
    const smallest = Math.min(...pod.spec.containers.map(memoryRequest));
    score = Math.min(score, scoreOf(smallest, memoryCapacityBytes));
  }
  return Math.min(BEST_EFFORT_OOM_SCORE - 1, Math.max(1000 + GUARANTEED_OOM_SCORE, score));
}

function scoreOf(requestBytes: number, capacityBytes: number): number {
  return 1000 - Math.floor((1000 * requestBytes) / capacityBytes);
}

function memoryRequest(container: Container): number {
  const { requests = {}, limits = {} } = container.resources ?? {};
  const request = requests.memory ?? limits.memory;
  return request === undefined ? 0 : quantityValue(String(request));
}
