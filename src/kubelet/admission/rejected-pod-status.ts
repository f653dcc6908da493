import type { Pod, PodStatus } from '../../api/generated/types.ts';
import { qosClassOf } from '../../api/qos.ts';
import { formatTime } from '../../api/time.ts';
import { OWN_CONDITIONS } from '../status/pod-conditions.ts';
import type { Rejection } from './find-rejection.ts';

/**
 * The status of a pod that the node does not run: the end, and why; of the conditions only those of others stay. Pure.
 * Source: upstream `rejectPod`, and `mergePodStatus` of the status manager.
 * @param now wall time, ms since the epoch
 */
export function rejectedPodStatus(pod: Pod, { reason, message }: Rejection, now: number): PodStatus {
  const own: readonly string[] = OWN_CONDITIONS;
  const { generation } = pod.metadata;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    phase: 'Failed',
    reason,
    message: `Pod was rejected: ${message}`,
    startTime: formatTime(now),
    qosClass: qosClassOf(pod),
    conditions: (pod.status?.conditions ?? []).filter(({ type }) => !own.includes(type)),
  };
}
