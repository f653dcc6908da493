import type { Node, Pod } from '../../api/generated/types.ts';
import { findShortages, isTolerated, matchesNodeAffinity } from '../../api/node-fit.ts';
import { hostPortConflict } from '../network/host-ports.ts';

/** Why a node does not run a pod that was bound to it. */
export interface Rejection {
  /** The reason of the pod's status and of its event. */
  readonly reason: string;
  /** In the kubelet's words. */
  readonly message: string;
}

/** The reason of a pod whose node selector or node affinity does not allow the node. */
export const NODE_AFFINITY = 'NodeAffinity';

/**
 * The kubelet's own check of a pod before anything of it is started: whoever bound it need not have looked. What speaks against it
 * first, or undefined. Pure. Source: `pkg/kubelet/lifecycle/predicate.go`, and the order of `AdmissionCheck` in
 * `pkg/scheduler/eventhandlers.go`; of other pods none is evicted for a critical one.
 * @param others the pods that the node runs, without those that have ended
 * @param hasAppArmor whether the node's kernel confines by it
 */
export function findRejection(
  pod: Pod,
  node: Node,
  others: readonly Pod[],
  hasAppArmor: boolean,
): Rejection | undefined {
  const { labels } = pod.metadata;
  const { os, securityContext, tolerations = [] } = pod.spec;
  // Upstream looks at the pod's own label of that name.
  if ((labels?.['kubernetes.io/os'] ?? 'linux') !== 'linux') {
    const message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label";
    return { reason: 'PodOSSelectorNodeLabelDoesNotMatch', message };
  }
  if ((os?.name ?? 'linux') !== 'linux') {
    return { reason: 'PodOSNotSupported', message: "Failed to admit pod as the OS field doesn't match node OS" };
  }
  if (securityContext?.supplementalGroupsPolicy === 'Strict' && !node.status?.features?.supplementalGroupsPolicy) {
    const message = 'SupplementalGroupsPolicy=Strict is not supported in this node';
    return { reason: 'SupplementalGroupsPolicyNotSupported', message };
  }
  const [shortage] = findShortages(pod, node, others);
  if (shortage) {
    const { resource, requested, used, capacity } = shortage;
    const amounts = `requested: ${requested}, used: ${used}, capacity: ${capacity}`;
    return { reason: `OutOf${resource}`, message: `Node didn't have enough resource: ${resource}, ${amounts}` };
  }
  if (!matchesNodeAffinity(pod, node))
    return failed(NODE_AFFINITY, "node(s) didn't match Pod's node affinity/selector");
  const conflict = hostPortConflict(pod, others);
  if (conflict) return conflict;
  const taint = node.spec?.taints?.find((t) => t.effect === 'NoExecute' && !isTolerated(t, tolerations));
  if (taint) return failed('TaintToleration', "node(s) had taints that the pod didn't tolerate");
  if (hasAppArmor || !wantsAppArmor(pod)) return undefined;
  return { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' };
}

/** Whether anything of the pod is to be confined by a profile (`pkg/security/apparmor/helpers.go`). */
function wantsAppArmor({ spec }: Pod): boolean {
  const { securityContext, containers, initContainers = [] } = spec;
  const contexts = [securityContext, ...[...containers, ...initContainers].map((c) => c.securityContext)];
  return contexts.some((context) => (context?.appArmorProfile?.type ?? 'Unconfined') !== 'Unconfined');
}

function failed(predicate: string, why: string): Rejection {
  return { reason: predicate, message: `Predicate ${predicate} failed: ${why}` };
}
