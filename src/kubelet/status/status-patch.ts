import { isDeepStrictEqual } from 'node:util';
import type { PodStatus } from '../../api/generated/types.ts';

/** Lists in a pod's status that a strategic merge patch merges item by item, and by what. The others it replaces. */
const MERGED_LISTS: Record<string, string> = { conditions: 'type', podIPs: 'ip', hostIPs: 'ip' };

/**
 * The strategic merge patch that turns one status into another, or undefined when nothing differs. It names only what differs,
 * so that conditions of others (readiness gates) that changed meanwhile are not undone. Pure.
 */
export function statusPatch(from: PodStatus, to: PodStatus): Record<string, unknown> | undefined {
  const before = from as Record<string, unknown>;
  const after = to as Record<string, unknown>;
  const patch: Record<string, unknown> = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [a, b] = [before[key], after[key]];
    if (isDeepStrictEqual(a, b)) continue;
    if (b === undefined) patch[key] = null;
    else if (MERGED_LISTS[key]) patch[key] = listPatch(MERGED_LISTS[key], asItems(a), asItems(b));
    else patch[key] = isObject(a) && isObject(b) ? objectPatch(a, b) : b;
  }
  return Object.keys(patch).length > 0 ? patch : undefined;
}

type Item = Record<string, unknown>;

function listPatch(key: string, before: readonly Item[], after: readonly Item[]): unknown[] {
  const changed = after.flatMap((item) => {
    const old = before.find((o) => o[key] === item[key]);
    if (!old) return [item];
    return isDeepStrictEqual(old, item) ? [] : [{ ...objectPatch(old, item), [key]: item[key] }];
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
    if (isDeepStrictEqual(a, b)) continue;
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
export function sameStatus(a: PodStatus | undefined, b: PodStatus | undefined): boolean {
  return isDeepStrictEqual(a, b);
}
