import type { EndpointSlice } from './generated/types.ts';

/** UIDs of the pods that are ready in this slice and were not in the one before it. */
export function newlyReady(slice: EndpointSlice, before: EndpointSlice | undefined): string[] {
  const were = readyPods(before);
  return [...readyPods(slice)].filter((podUID) => !were.has(podUID));
}

function readyPods(slice: EndpointSlice | undefined): Set<string> {
  const uids = new Set<string>();
  for (const { conditions, targetRef } of slice?.endpoints ?? []) {
    if (targetRef?.uid && (conditions?.ready ?? true)) uids.add(targetRef.uid);
  }
  return uids;
}
