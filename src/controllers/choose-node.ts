import type {
  Node,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Pod,
  Taint,
  Toleration,
} from '../api/generated/types.ts';
import { isSidecar, podResources } from '../api/pod-resources.ts';
import { parseQuantity } from '../api/quantity.ts';

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
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Why a pod may not run on a node, by the first thing that speaks against it. */
function refusalsOf(pod: Pod, node: Node, neighbours: readonly Pod[]): string[] {
  const tolerations = pod.spec.tolerations ?? [];
  if (node.spec?.unschedulable && !isTolerated(UNSCHEDULABLE, tolerations)) return ['node(s) were unschedulable'];
  const taint = node.spec?.taints?.find((t) => t.effect !== 'PreferNoSchedule' && !isTolerated(t, tolerations));
  if (taint) return ['node(s) had untolerated taint(s)'];
  if (!matchesNode(pod, node)) return ["node(s) didn't match Pod's node affinity/selector"];
  const taken = new Set(neighbours.flatMap(hostPorts));
  if (hostPorts(pod).some((port) => taken.has(port))) {
    return ["node(s) didn't have free ports for the requested pod ports"];
  }
  return lacks(pod, node, neighbours);
}

/** What the node has too little of. A node that does not say what it has is taken to have enough. */
function lacks(pod: Pod, node: Node, neighbours: readonly Pod[]): string[] {
  const allocatable = (node.status?.allocatable ?? {}) as Record<string, string>;
  const found: string[] = [];
  if (allocatable.pods !== undefined && neighbours.length + 1 > Number(allocatable.pods)) found.push('Too many pods');
  const requests = podResources(pod, 'requests');
  const used = neighbours.map((other) => podResources(other, 'requests'));
  for (const [resource, { nanos }] of Object.entries(requests)) {
    const has = allocatable[resource];
    if (nanos === 0n || has === undefined) continue;
    const total = used.reduce((sum, other) => sum + (other[resource]?.nanos ?? 0n), nanos);
    if (total > parseQuantity(String(has)).nanos) found.push(`Insufficient ${resource}`);
  }
  return found;
}

function hostPorts(pod: Pod): string[] {
  return [...(pod.spec.initContainers ?? []).filter(isSidecar), ...pod.spec.containers].flatMap(({ ports = [] }) =>
    ports.filter(({ hostPort }) => hostPort).map(({ hostPort, protocol = 'TCP' }) => `${hostPort}/${protocol}`),
  );
}

const UNSCHEDULABLE: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

function isTolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  return tolerations.some(
    ({ key, effect, operator, value = '' }) =>
      (!effect || effect === taint.effect) &&
      (!key || key === taint.key) &&
      (operator === 'Exists' || value === (taint.value ?? '')),
  );
}

function matchesNode(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return selected && (!required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node)));
}

/** An empty term matches nothing. */
function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, { metadata }: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every((wanted) => matchesRequirement(wanted, metadata.labels?.[wanted.key])) &&
    matchFields.every((wanted) =>
      matchesRequirement(wanted, wanted.key === 'metadata.name' ? metadata.name : undefined),
    )
  );
}

function matchesRequirement({ operator, values = [] }: NodeSelectorRequirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}
