import type { PodStatus } from '../../api/generated/types.ts';
import { OWN_CONDITIONS } from './pod-conditions.ts';

/** Lists in a pod's status that a strategic merge patch merges item by item, and by what. The others it replaces. */
const MERGED_LISTS: Record<string, string> = { conditions: 'type', podIPs: 'ip', hostIPs: 'ip' };

const OWN_TYPES: ReadonlySet<unknown> = new Set(OWN_CONDITIONS);

/**
 * The strategic merge patch that turns one status into another, or undefined when nothing differs. It names only what differs, and
 * no conditions of others (readiness gates): those are as the API server has them. Pure.
 * Source: pkg/kubelet/status/status_manager.go isPodStatusByKubeletEqual
 */
export function statusPatch(from: PodStatus, to: PodStatus): Record<string, unknown> | undefined {
  const before = from as Record<string, unknown>;
  const after = to as Record<string, unknown>;
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [a, b] = [before[key], after[key]];
    if (isSame(a, b)) continue;
    if (MERGED_LISTS[key]) {
      const isOurs = (item: Item): boolean => key !== 'conditions' || OWN_TYPES.has(item.type);
      const items = listPatch(MERGED_LISTS[key], asItems(a).filter(isOurs), asItems(b).filter(isOurs));
      if (items.length > 0) patch[key] = items;
    } else if (b === undefined) patch[key] = null;
    else patch[key] = isObject(a) && isObject(b) ? objectPatch(a, b) : b;
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

type Item = Record<string, unknown>;

function listPatch(key: string, before: readonly Item[], after: readonly Item[]): unknown[] {
  const changed = after.flatMap((item) => {
    const old = before.find((o) => o[key] === item[key]);
    if (!old) return [item];
    return isSame(old, item) ? [] : [{ ...objectPatch(old, item), [key]: item[key] }];
  });
  const gone = before
    .filter((o) => !after.some((item) => item[key] === o[key]))
    .map((o) => ({ $patch: 'delete', [key]: o[key] }));
  return [...changed, ...gone];
}

function objectPatch(before: Item, after: Item): Item {
  const patch: Item = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [a, b] = [before[key], after[key]];
    if (isSame(a, b)) continue;
    if (b === undefined) patch[key] = null;
    else patch[key] = isObject(a) && isObject(b) ? objectPatch(a, b) : b;
  }
  return patch;
}

function asItems(value: unknown): Item[] {
  return Array.isArray(value) ? (value as Item[]) : [];
}

function isObject(value: unknown): value is Item {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether two statuses say the same. */
export function sameStatus(a: PodStatus, b: PodStatus): boolean {
  return isSame(a, b);
}

/** Deep equality. A field that is null says no more than one that is not there, and API servers keep it or not as they like. */
function isSame(a: unknown, b: unknown): boolean {
  if ((a ?? undefined) === (b ?? undefined)) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isSame(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  return (
    Object.keys(a).every((key) => isSame(a[key], b[key])) && Object.keys(b).every((key) => key in a || b[key] == null)
  );
}
