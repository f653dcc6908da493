import type { Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, Taint, Toleration } from './generated/types.ts';
import { podResources } from './pod-resources.ts';
import { parseQuantity } from './quantity.ts';

/** What a node has too little of for a pod, as the scheduler counts: thousandths of a CPU, whole units of everything else. */
export interface Shortage {
  readonly resource: string;
  readonly requested: bigint;
  readonly used: bigint;
  readonly capacity: bigint;
}

/** The order in which the scheduler looks at what a pod requests; other resources come after these. */
const FIRST_RESOURCES = ['cpu', 'memory', 'ephemeral-storage'];

/**
 * What a node lacks to run a pod beside its neighbours. A resource that the node says nothing of is taken to be there in plenty.
 * Pure. Source: `pkg/scheduler/framework/plugins/noderesources/fit.go`.
 * @param neighbours the pods that the node runs, without those that have ended
 */
export function findShortages(pod: Pod, node: Node, neighbours: readonly Pod[]): Shortage[] {
  const allocatable = (node.status?.allocatable ?? {}) as Record<string, string>;
  const found: Shortage[] = [];
  const count = BigInt(neighbours.length);
  if (allocatable.pods !== undefined && count + 1n > BigInt(allocatable.pods)) {
    found.push({ resource: 'pods', requested: 1n, used: count, capacity: BigInt(allocatable.pods) });
  }
  const requests = podResources(pod, 'requests');
  const wanted = [...new Set([...FIRST_RESOURCES, ...Object.keys(requests)])].filter(
    (name) => (requests[name]?.nanos ?? 0n) > 0n && allocatable[name] !== undefined,
  );
  if (wanted.length === 0) return found;
  const taken = neighbours.map((other) => podResources(other, 'requests'));
  for (const resource of wanted) {
    const requested = requests[resource]!.nanos;
    const used = taken.reduce((sum, other) => sum + (other[resource]?.nanos ?? 0n), 0n);
    const capacity = parseQuantity(String(allocatable[resource])).nanos;
    if (requested + used <= capacity) continue;
    const unit = resource === 'cpu' ? 1_000_000n : 1_000_000_000n;
    found.push({ resource, requested: requested / unit, used: used / unit, capacity: capacity / unit });
  }
  return found;
}

/** Whether a pod's node selector and its required node affinity allow a node. Pure. */
export function matchesNodeAffinity(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(([key, value]) => labels[key] === value);
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return selected && (!required || required.nodeSelectorTerms.some((term) => matchesTerm(term, node)));
}

/** Whether any of the tolerations is of this taint. Pure. */
export function isTolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  return tolerations.some(
    ({ key, effect, operator, value = '' }) =>
      (!effect || effect === taint.effect) &&
      (!key || key === taint.key) &&
      (operator === 'Exists' || value === (taint.value ?? '')),
  );
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
