import type { Pod } from '../../api/generated/types.ts';
import { hasHostPortClash } from '../../api/host-ports.ts';

/**
 * Why the kubelet must not admit a pod next to others: as the scheduler and the kubelet's own check say it (plugin NodePorts), since
 * there is no other node to go to. Undefined when all its host ports are free.
 * @param others the pods that the node runs, without those that finished
 */
export function hostPortConflict(
  pod: Pod,
  others: readonly Pod[],
): { readonly reason: 'NodePorts'; readonly message: string } | undefined {
  const strangers = others.filter((other) => other.metadata.uid !== pod.metadata.uid);
  if (!hasHostPortClash(pod, strangers)) return undefined;
  return {
    reason: 'NodePorts',
    message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
  };
}
