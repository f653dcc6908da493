import type {
  Node,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Pod,
  Taint,
  Toleration,
} from '../api/generated/types.ts';

export type Placement = { readonly node: string } | { readonly unschedulable: string };

/**
 * Where a pod may run: the first node (by name) that its node selector, its required node affinity and its tolerations allow. With
 * one node there is nothing to weigh. Pure. Words: pkg/scheduler/framework/plugins
 */
export function chooseNode(pod: Pod, nodes: readonly Node[]): Placement {
  if (nodes.length === 0) return { unschedulable: 'no nodes available to schedule pods' };
  const refusals = new Map<string, number>();
  for (const node of nodes.toSorted((a, b) => (a.metadata.name! < b.metadata.name! ? -1 : 1))) {
    const refusal = refusalOf(pod, node);
    if (refusal === undefined) return { node: node.metadata.name! };
    refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1);
  }
  const reasons = [...refusals].map(([why, count]) => `${count} ${why}`).sort();
  return { unschedulable: `0/${nodes.length} nodes are available: ${reasons.join(', ')}.` };
}

function refusalOf(pod: Pod, node: Node): string | undefined {
  const tolerations = pod.spec.tolerations ?? [];
  if (node.spec?.unschedulable && !isTolerated(UNSCHEDULABLE, tolerations)) return 'node(s) were unschedulable';
  const taint = node.spec?.taints?.find((t) => t.effect !== 'PreferNoSchedule' && !isTolerated(t, tolerations));
  if (taint) return 'node(s) had untolerated taint(s)';
  if (!matchesNode(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  return undefined;
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
