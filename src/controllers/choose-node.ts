import type { Node, Pod, Taint } from '../api/generated/types.ts';
import { hasHostPortClash } from '../api/host-ports.ts';
import { findShortages, isTolerated, matchesNodeAffinity } from '../api/node-fit.ts';
import { isTerminalPhase } from '../api/pod-phase.ts';

export type Placement = { readonly node: string } | { readonly unschedulable: string };

/**
 * Where a pod may run: the first node (by name) that its node selector, its required node affinity, its tolerations and host ports
 * and what it requests allow. With one node there is nothing to weigh. Pure. Words: pkg/scheduler/framework/plugins
 * @param placed pods that have a node
 */
export function chooseNode(pod: Pod, nodes: readonly Node[], placed: readonly Pod[]): Placement {
  if (nodes.length === 0) return { unschedulable: 'no nodes available to schedule pods' };
  const refusals = new Map<string, number>();
  for (const node of nodes.toSorted((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1))) {
    const name = node.metadata.name!;
    const found = refusalsOf(
      pod,
      node,
      placed.filter((other) => other.spec.nodeName === name && !isFinished(other)),
    );
    if (found.length === 0) return { node: name };
    for (const refusal of found) refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1);
  }
  const reasons = [...refusals].map(([why, count]) => `${count} ${why}`).sort();
  return { unschedulable: `0/${nodes.length} nodes are available: ${reasons.join(', ')}.` };
}

/** A pod that has ended takes nothing any more. */
export function isFinished(pod: Pod): boolean {
  return isTerminalPhase(pod.status?.phase);
}

/** Why a pod may not run on a node, by the first thing that speaks against it. */
function refusalsOf(pod: Pod, node: Node, neighbours: readonly Pod[]): string[] {
  const tolerations = pod.spec.tolerations ?? [];
  if (node.spec?.unschedulable && !isTolerated(UNSCHEDULABLE, tolerations)) return ['node(s) were unschedulable'];
  const taint = node.spec?.taints?.find((t) => t.effect !== 'PreferNoSchedule' && !isTolerated(t, tolerations));
  if (taint) return ['node(s) had untolerated taint(s)'];
  if (!matchesNodeAffinity(pod, node)) return ["node(s) didn't match Pod's node affinity/selector"];
  if (hasHostPortClash(pod, neighbours)) return ["node(s) didn't have free ports for the requested pod ports"];
  return findShortages(pod, node, neighbours).map(({ resource }) =>
    resource === 'pods' ? 'Too many pods' : `Insufficient ${resource}`,
  );
}

const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };
