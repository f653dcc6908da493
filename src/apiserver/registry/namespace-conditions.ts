import { getCondition } from '../../api/conditions.ts';
import type { NamespaceCondition } from '../../api/generated/types.ts';
import type { KubeObject, Resource } from '../../api/resources.ts';
import { formatTime } from '../../api/time.ts';

/** What of one resource is still in a namespace. */
export interface Remaining {
  readonly resource: Pick<Resource, 'group' | 'plural'>;
  readonly objects: readonly KubeObject[];
}

interface Verdict {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Discovery and deletion within one process do not fail. */
const FINE: Readonly<Record<string, readonly [reason: string, message: string]>> = {
  NamespaceDeletionDiscoveryFailure: ['ResourcesDiscovered', 'All resources successfully discovered'],
  NamespaceDeletionGroupVersionParsingFailure: ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
  NamespaceDeletionContentFailure: [
    'ContentDeleted',
    'All content successfully deleted, may be waiting on finalization',
  ],
  NamespaceContentRemaining: ['ContentRemoved', 'All content successfully removed'],
  NamespaceFinalizersRemaining: ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
};

/**
 * Why a namespace that is being deleted is still there. Pods are counted from the first, which upstream's controller leaves out
 * as long as there are any. Pure.
 * Source: pkg/controller/namespace/deletion/status_condition_utils.go
 * @param left without resources of which nothing is left
 * @param old what the namespace shows: conditions whose status is as before keep their lastTransitionTime
 * @param now wall time, ms since the epoch
 */
export function namespaceConditions(
  left: readonly Remaining[],
  old: readonly NamespaceCondition[],
  now: number,
): NamespaceCondition[] {
  const holders = new Map<string, number>();
  for (const { metadata } of left.flatMap(({ objects }) => objects)) {
    for (const name of metadata.finalizers ?? []) holders.set(name, (holders.get(name) ?? 0) + 1);
  }
  const remaining = left.map(
    ({ resource, objects }) => `${resource.plural}.${resource.group} has ${objects.length} resource instances`,
  );
  const finalizers = [...holders].map(([name, count]) => `${name} in ${count} resource instances`);
  const verdicts: Record<string, Verdict | undefined> = {
    NamespaceContentRemaining: verdict(remaining, 'SomeResourcesRemain', 'Some resources are remaining'),
    NamespaceFinalizersRemaining: verdict(
      finalizers,
      'SomeFinalizersRemain',
      'Some content in the namespace has finalizers remaining',
    ),
  };
  const others = old.filter(({ type }) => !Object.hasOwn(FINE, type));
  const own = Object.entries(FINE).map(([type, [reason, message]]): NamespaceCondition => {
    const found: Verdict = verdicts[type] ?? { status: 'False', reason, message };
    const before = getCondition(old, type);
    const since = before?.status === found.status ? before.lastTransitionTime : undefined;
    return { type, lastTransitionTime: since ?? formatTime(now), ...found };
  });
  return [...others, ...own];
}

function verdict(items: readonly string[], reason: string, message: string): Verdict | undefined {
  return items.length === 0
    ? undefined
    : { status: 'True', reason, message: `${message}: ${[...items].sort().join(', ')}` };
}
