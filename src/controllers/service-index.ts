import type { EndpointSlice, Pod, Service } from '../api/generated/types.ts';
import { MIRROR_CONTROLLER } from './mirror-endpoints.ts';
import { MANAGED_BY, SERVICE_NAME, SLICE_CONTROLLER } from './reconcile-endpoint-slices.ts';
import { selects } from './service-pods.ts';

const MANAGERS: readonly (string | undefined)[] = [SLICE_CONTROLLER, MIRROR_CONTROLLER];

/** `NAMESPACE/NAME` */
export const keyOf = ({ metadata }: { readonly metadata: { namespace?: string; name?: string } }): string =>
  `${metadata.namespace}/${metadata.name}`;

/**
 * Which pods and slices belong to which Service, kept up to date change by change, so that one pod's change costs as much with ten
 * thousand pods as with ten.
 */
export class ServiceIndex {
  private readonly services = new Map<string, Service>();
  /** By namespace. */
  private readonly pods = new Map<string, Map<string, Pod>>();
  /** By Service. */
  private readonly members = new Map<string, Map<string, Pod>>();
  /** As last seen or written, by their own key. */
  private readonly slices = new Map<string, EndpointSlice>();
  /** By Service. */
  private readonly owned = new Map<string, Map<string, EndpointSlice>>();

  service(key: string): Service | undefined {
    return this.services.get(key);
  }

  /** The pods that a Service selects. */
  podsOf(key: string): Pod[] {
    return [...(this.members.get(key)?.values() ?? [])];
  }

  /** The slices that controllers made for a Service of this name. */
  slicesOf(key: string): EndpointSlice[] {
    return [...(this.owned.get(key)?.values() ?? [])];
  }

  setService(service: Service): void {
    const key = keyOf(service);
    this.services.set(key, service);
    const members = new Map<string, Pod>();
    for (const [name, pod] of this.pods.get(service.metadata.namespace ?? '') ?? []) {
      if (selects(service, pod)) members.set(name, pod);
    }
    this.members.set(key, members);
  }

  removeService(service: Service): void {
    this.services.delete(keyOf(service));
    this.members.delete(keyOf(service));
  }

  /** @returns the Services that have, or had, this pod */
  setPod(pod: Pod): string[] {
    const { namespace = '', name = '' } = pod.metadata;
    childOf(this.pods, namespace).set(name, pod);
    const concerned: string[] = [];
    for (const [key, members] of this.members) {
      if (!key.startsWith(`${namespace}/`)) continue;
      const selected = selects(this.services.get(key)!, pod);
      if (selected || members.has(name)) concerned.push(key);
      if (selected) members.set(name, pod);
      else members.delete(name);
    }
    return concerned;
  }

  /** @returns the Services that had this pod */
  removePod({ metadata: { namespace = '', name = '' } }: Pod): string[] {
    this.pods.get(namespace)?.delete(name);
    const concerned: string[] = [];
    for (const [key, members] of this.members) {
      if (key.startsWith(`${namespace}/`) && members.delete(name)) concerned.push(key);
    }
    return concerned;
  }

  /**
   * Takes in a slice as it was seen or written; an older one than is known is left out.
   * @returns the Services whose slices are not as they were last known
   */
  setSlice(slice: EndpointSlice): string[] {
    const name = keyOf(slice);
    const known = this.slices.get(name);
    if (known && known.metadata.uid === slice.metadata.uid && !isNewer(slice, known)) return [];
    this.slices.set(name, slice);
    const [before, after] = [known && ownerOf(known), ownerOf(slice)];
    if (before !== undefined && before !== after) this.owned.get(before)?.delete(name);
    if (after !== undefined) childOf(this.owned, after).set(name, slice);
    return [...new Set([before, after])].filter((key) => key !== undefined);
  }

  /** @returns the Services that lost this slice */
  removeSlice(slice: EndpointSlice): string[] {
    const name = keyOf(slice);
    const known = this.slices.get(name);
    if (known?.metadata.uid !== slice.metadata.uid) return [];
    this.slices.delete(name);
    const owner = ownerOf(slice);
    if (owner === undefined) return [];
    const owned = this.owned.get(owner);
    owned?.delete(name);
    if (owned?.size === 0) this.owned.delete(owner);
    return [owner];
  }

  /** The Services that slices are left of, whether or not they exist. */
  sliceOwners(): string[] {
    return [...this.owned.keys()];
  }
}

/** The Service that a controller's slice is for; undefined for one that somebody else made. */
function ownerOf({ metadata }: EndpointSlice): string | undefined {
  const { [SERVICE_NAME]: name, [MANAGED_BY]: manager } = metadata.labels ?? {};
  return name && MANAGERS.includes(manager) ? `${metadata.namespace}/${name}` : undefined;
}

/** Resource versions of one object are numbers that grow. */
function isNewer(a: EndpointSlice, b: EndpointSlice): boolean {
  return BigInt(a.metadata.resourceVersion ?? 0) > BigInt(b.metadata.resourceVersion ?? 0);
}

function childOf<K, T>(map: Map<K, Map<string, T>>, key: K): Map<string, T> {
  let child = map.get(key);
  if (!child) {
    child = new Map();
    map.set(key, child);
  }
  return child;
}
