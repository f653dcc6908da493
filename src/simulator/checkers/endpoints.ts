import { getCondition } from '../../api/conditions.ts';
import type { EndpointSlice, Pod } from '../../api/generated/types.ts';
import type { Checker, Report } from '../checker.ts';
import type { Fact } from '../fact.ts';

/** How long, undisturbed, a Service may go on sending to a pod that is not ready, and may have learned of one that was. */
const BOUND_MS = 1000;
/** After a disturbance a broken watch waits so long at most for its next try. */
const DISTURBED_MS = 35_000;

/** Whom a Service sends to is ready; who stops being ready is sent to for a moment only. */
export function endpoints(): Checker {
  /** When each pod was ready last; `undefined` in `since` means that it is now. */
  const pods = new Map<string, { readonly name: string; readonly unreadySince: number | undefined }>();
  /** UIDs of the pods that each slice shows as ready. */
  const slices = new Map<string, ReadonlySet<string>>();
  let quietFrom = 0;

  const checkRouted = (now: number, report: Report): void => {
    if (now < quietFrom) return;
    for (const [slice, uids] of slices) {
      for (const uid of uids) {
        const pod = pods.get(uid);
        const forMs = now - (pod?.unreadySince ?? now);
        if (forMs <= BOUND_MS) continue;
        report(`${slice} has sent to ${pod?.name ?? uid} for ${forMs} ms since that stopped being ready`);
        // Once is enough.
        pods.delete(uid);
      }
    }
  };
  const note = (uid: string, pod: Pod | undefined, atMs: number, name: string): void => {
    const isReady =
      pod !== undefined &&
      !pod.metadata.deletionTimestamp &&
      getCondition(pod.status?.conditions, 'Ready')?.status === 'True';
    const unreadySince = isReady ? undefined : (pods.get(uid)?.unreadySince ?? atMs);
    pods.set(uid, { name, unreadySince });
  };
  const takeSlice = (key: string, slice: EndpointSlice | undefined, atMs: number, report: Report): void => {
    const before = slices.get(key);
    const ready = new Set<string>();
    for (const { conditions, targetRef } of slice?.endpoints ?? []) {
      if (!conditions?.ready || !targetRef?.uid) continue;
      ready.add(targetRef.uid);
      const pod = pods.get(targetRef.uid);
      if (before?.has(targetRef.uid) || atMs < quietFrom) continue;
      if (pod && (pod.unreadySince ?? atMs) >= atMs - BOUND_MS) continue;
      report(`${key} begins to send to ${targetRef.name}, which is not ready`);
    }
    slices.set(key, ready);
  };
  return {
    name: 'endpoints',
    on(fact, report) {
      if (isDisturbance(fact)) quietFrom = fact.atMs + DISTURBED_MS;
      checkRouted(fact.atMs, report);
      if (fact.what === 'loaded') {
        slices.clear();
        for (const object of fact.objects.values()) {
          if (object.kind === 'Pod') note(object.metadata.uid!, object as Pod, fact.atMs, object.metadata.name!);
          if (object.kind === 'EndpointSlice')
            takeSlice(object.metadata.name!, object as EndpointSlice, fact.atMs, report);
        }
      }
      if (fact.what !== 'written') return;
      const { collection, key, object, removed } = fact;
      if (collection === 'pods') note(object.metadata.uid!, removed ? undefined : (object as Pod), fact.atMs, key);
      if (collection === 'endpointslices') {
        takeSlice(object.metadata.name!, removed ? undefined : (object as EndpointSlice), fact.atMs, report);
      }
    },
    end(report, world) {
      checkRouted(world.nowMs, report);
      const routed = new Set([...slices.values()].flatMap((uids) => [...uids]));
      const hasService = slices.size > 0;
      for (const [uid, pod] of hasService ? world.pods : []) {
        const since = pods.get(uid);
        if (since && since.unreadySince === undefined && !routed.has(uid)) {
          report(`pod ${pod.metadata.name} is ready, but nobody sends to it`);
        }
      }
    },
  };
}

function isDisturbance({ what, ...fact }: Fact): boolean {
  if (what === 'fault') return /^(watch|write)/.test((fact as { name: string }).name);
  return ['agentStarted', 'agentDied', 'diskFull', 'diskFreed'].includes(what);
}
