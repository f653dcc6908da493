import { isDeepStrictEqual } from 'node:util';
import type { DiscoveryV1EndpointPort, Endpoint, EndpointSlice, ObjectMeta } from '../api/generated/types.ts';

/** Endpoints that have the same ports. */
export interface EndpointGroup {
  readonly addressType: EndpointSlice['addressType'];
  readonly ports: readonly DiscoveryV1EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

/** What a Service's slices should hold together. */
export interface DesiredSlices {
  /** Of every slice; the API server adds to `generateName`. */
  readonly metadata: ObjectMeta & { readonly generateName: string; readonly labels: Record<string, string> };
  readonly groups: readonly EndpointGroup[];
  /** How many endpoints a slice may hold. */
  readonly maxEndpoints: number;
  /** Finds the same endpoint in a slice again. */
  readonly keyOf: (endpoint: Endpoint) => string;
  /** Whether an empty slice stands for a Service without endpoints. */
  readonly placeholder: boolean;
}

/** The writes that lead there. Updated and deleted ones carry the metadata that they were read with. */
export interface SlicePlan {
  readonly create: EndpointSlice[];
  readonly update: EndpointSlice[];
  readonly delete: EndpointSlice[];
}

export const LAST_CHANGE_TRIGGER_TIME = 'endpoints.kubernetes.io/last-change-trigger-time';

/**
 * The fewest writes after which the slices hold the desired endpoints: what stands stays where it is, what is gone or changed is
 * written in its slice, what is new goes first into slices that are written anyway, then into the fullest that has room for it, then into
 * new ones. Pure. Rules: endpointslice reconciler.go
 * @param existing all of them are ours
 * @param triggerTime of the change, for the annotation of what is written; undefined when it is not known
 */
export function planSlices(
  desired: DesiredSlices,
  existing: readonly EndpointSlice[],
  triggerTime: string | undefined,
): SlicePlan {
  const { create, update, remove } = placeGroups(desired, existing);
  if (desired.placeholder && create.length === 0 && remove.length === existing.length) {
    const kept = existing.find((slice) => isPlaceholder(slice) && hasMetadata(slice, desired));
    if (kept) remove.splice(remove.indexOf(kept), 1);
    else create.push(newSlice(desired, { addressType: 'IPv4', ports: [], endpoints: [] }, []));
  }
  // A slice that is not needed any more becomes one that is needed: one write in place of two, and no gap between them.
  while (create.length > 0) {
    const old = remove.findIndex(
      ({ addressType, metadata }) => addressType === create[0]!.addressType && !metadata.deletionTimestamp,
    );
    if (old < 0) break;
    const [spare] = remove.splice(old, 1);
    const { endpoints, ports } = create.shift()!;
    update.push({ ...spare!, endpoints: endpoints!, ports: ports! });
  }
  return {
    create: create.map((slice) => stamped(slice, desired, triggerTime)),
    update: update.map((slice) => stamped(slice, desired, triggerTime)),
    delete: remove,
  };
}

interface Placement {
  readonly create: EndpointSlice[];
  readonly update: EndpointSlice[];
  readonly remove: EndpointSlice[];
}

function placeGroups(desired: DesiredSlices, existing: readonly EndpointSlice[]): Placement {
  const groups = new Map<string, EndpointGroup>();
  for (const group of desired.groups) {
    const key = portsKey(group.addressType, group.ports);
    groups.set(key, { ...group, endpoints: [...(groups.get(key)?.endpoints ?? []), ...group.endpoints] });
  }
  const result: Placement = { create: [], update: [], remove: [] };
  const slicesOf = new Map<string, EndpointSlice[]>();
  for (const slice of existing) {
    const key = portsKey(slice.addressType, slice.ports ?? []);
    if (!groups.has(key) || slice.metadata.deletionTimestamp) result.remove.push(slice);
    else slicesOf.set(key, [...(slicesOf.get(key) ?? []), slice]);
  }
  for (const [key, group] of groups) placeGroup(desired, group, slicesOf.get(key) ?? [], result);
  return result;
}

/** A slice of a group, with what is to stay in it. */
interface Filling {
  readonly slice: EndpointSlice;
  readonly endpoints: Endpoint[];
  dirty: boolean;
}

function placeGroup(
  desired: DesiredSlices,
  group: EndpointGroup,
  slices: readonly EndpointSlice[],
  { create, update, remove }: Placement,
): void {
  const { maxEndpoints, keyOf } = desired;
  const missing = new Map(group.endpoints.map((endpoint) => [keyOf(endpoint), endpoint]));
  const fillings = slices.map((slice): Filling => {
    const endpoints: Endpoint[] = [];
    let dirty = !hasMetadata(slice, desired);
    for (const old of slice.endpoints ?? []) {
      const key = keyOf(old);
      const wanted = missing.get(key);
      if (wanted) endpoints.push(wanted);
      if (!wanted || !isDeepStrictEqual(wanted, old)) dirty = true;
      missing.delete(key);
    }
    return { slice, endpoints, dirty };
  });
  const left = [...missing.values()];
  const fill = (filling: Filling): void => {
    const added = left.splice(0, maxEndpoints - filling.endpoints.length);
    filling.endpoints.push(...added);
    if (added.length > 0) filling.dirty = true;
  };
  for (const filling of fillings) if (filling.dirty) fill(filling);
  if (left.length > 0 && left.length <= maxEndpoints) {
    const room = fillings
      .filter(({ dirty, endpoints }) => !dirty && endpoints.length + left.length <= maxEndpoints)
      .sort((a, b) => b.endpoints.length - a.endpoints.length)[0];
    if (room) fill(room);
  }
  for (const { slice, endpoints, dirty } of fillings) {
    if (endpoints.length === 0) remove.push(slice);
    else if (dirty) update.push({ ...slice, endpoints });
  }
  while (left.length > 0) create.push(newSlice(desired, group, left.splice(0, maxEndpoints)));
}

function newSlice({ metadata }: DesiredSlices, group: EndpointGroup, endpoints: Endpoint[]): EndpointSlice {
  const { addressType, ports } = group;
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata,
    addressType,
    endpoints,
    ports: [...ports],
  };
}

/** The slice as it is to be written. */
function stamped(slice: EndpointSlice, { metadata }: DesiredSlices, triggerTime: string | undefined): EndpointSlice {
  const { [LAST_CHANGE_TRIGGER_TIME]: _, ...annotations } = { ...slice.metadata.annotations, ...metadata.annotations };
  if (triggerTime !== undefined) annotations[LAST_CHANGE_TRIGGER_TIME] = triggerTime;
  const { labels, ownerReferences } = metadata;
  return {
    ...slice,
    metadata: { ...slice.metadata, labels, annotations, ...(ownerReferences && { ownerReferences }) },
  };
}

function hasMetadata({ metadata }: EndpointSlice, { metadata: wanted }: DesiredSlices): boolean {
  return (
    isDeepStrictEqual({ ...metadata.labels }, wanted.labels) &&
    metadata.ownerReferences?.[0]?.uid === wanted.ownerReferences?.[0]?.uid &&
    Object.entries(wanted.annotations ?? {}).every(([key, value]) => metadata.annotations?.[key] === value)
  );
}

function isPlaceholder({ endpoints = [], ports = [], addressType, metadata }: EndpointSlice): boolean {
  const empty = (endpoints?.length ?? 0) + (ports?.length ?? 0) === 0;
  return empty && addressType === 'IPv4' && !metadata.deletionTimestamp;
}

/** The same for the same ports in any order. */
function portsKey(addressType: string, ports: readonly DiscoveryV1EndpointPort[]): string {
  const words = ports.map(({ name = '', protocol = 'TCP', port, appProtocol = '' }) =>
    JSON.stringify([name, protocol, port, appProtocol]),
  );
  return [addressType, ...words.sort()].join();
}
