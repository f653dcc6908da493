import { isDeepStrictEqual } from 'node:util';
import type { Pod } from '../../../api/generated/types.ts';
import { isTerminalPhase } from '../../../api/pod-phase.ts';
import { podWarnings } from '../../../api/pod-warnings.ts';
import { computeQOSClass } from '../../../api/qos.ts';
import { unsupportedPodFields } from '../../../api/unsupported.ts';
import type { Strategy } from '../resource-definition.ts';

/** Source: pkg/registry/core/pod/strategy.go */
export const podStrategy: Strategy = {
  prepareForCreate(object) {
    const pod = object as Pod;
    pod.metadata.generation = 1;
    pod.status = { phase: 'Pending', qosClass: computeQOSClass(pod) };
  },

  unsupported: (object) => unsupportedPodFields(object as Pod),

  // Upstream spares those who only update pods, mostly programs.
  warnings: (object, old) => (old ? [] : podWarnings(object as Pod)),

  prepareForUpdate(object, old) {
    const [pod, before] = [object as Pod, old as Pod];
    // The status has its own subresource; absent must stay absent.
    if (before.status) pod.status = before.status;
    else delete pod.status;
    if (!isDeepStrictEqual(pod.spec, before.spec)) pod.metadata.generation = (before.metadata.generation ?? 0) + 1;
  },

  prepareForStatusUpdate(object, old) {
    const [pod, before] = [object as Pod, old as Pod];
    if (before.metadata.ownerReferences) pod.metadata.ownerReferences = before.metadata.ownerReferences;
    else delete pod.metadata.ownerReferences;
    const qosClass = pod.status?.qosClass ?? before.status?.qosClass;
    if (qosClass) pod.status = { ...pod.status, qosClass };
  },

  gracePeriod(object, requested) {
    const pod = object as Pod;
    // Nobody would confirm the end of a pod that no kubelet has, or that has ended.
    if (!pod.spec.nodeName || isTerminalPhase(pod.status?.phase)) return 0;
    const period = requested ?? pod.spec.terminationGracePeriodSeconds ?? 0;
    return period < 0 ? 1 : period;
  },
};
