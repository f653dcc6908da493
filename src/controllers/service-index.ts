import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice, Pod, Service } from '../api/generated/types.ts';
import { MIRROR_CONTROLLER } from './mirror-endpoints.ts';
import { MANAGED_BY, SERVICE_NAME, SLICE_CONTROLLER } from './reconcile-endpoint-slices.ts';
import { selects, selectsPods } from './service-pods.ts';

const MANAGERS: readonly (string | undefined)[] = [SLICE_CONTROLLER, MIRROR_CONTROLLER];

/** `NAMESPACE/NAME` */
export const keyOf = ({ metadata }: { readonly metadata: { namespace?: string; name?: string } }): string =>
  `${metadata.namespace}/${metadata.name}`;

/**
 * Which pods and slices belong to which Service, kept up to date change by change, so that one pod's change costs as much with a
 * thousand Services and ten thousand pods as with one.
 */
export class ServiceIndex {
  /** All by their own keys. */
  private readonly services = new Map<string, Service>();
  private readonly pods = new Map<string, Pod>();
  private readonly slices = new Map<string, EndpointSlice>();
  /** By `NAMESPACE/LABEL=VALUE`: the pods with this label; the Services whose selector begins with it. */
  private readonly podsByLabel = new Map<string, Map<string, Pod>>();
  private readonly servicesByLabel = new Map<string, Map<string, Service>>();
  /** By Service: the pods that it selects, and the slices that controllers made for it. By pod: its Services. */
  private readonly members = new Map<string, Map<string, Pod>>();
  private readonly owned = new Map<string, Map<string, EndpointSlice>>();
  private readonly memberships = new Map<string, Map<string, true>>();

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

  /** The Services that slices are left of, whether or not they exist. */
  sliceOwners(): string[] {
    return [...this.owned.keys()];
  }

  setService(service: Service): void {
    const key = keyOf(service);
    const old = this.services.get(key);
    this.services.set(key, service);
    const anchor = anchorOf(service);
    if (anchor !== undefined) put(this.servicesByLabel, anchor, key, service);
    if (old && isDeepStrictEqual(selectorOf(old), selectorOf(service))) return;
    if (old) this.leave(old, anchor);
    for (const [pod, candidate] of this.podsByLabel.get(anchor ?? '') ?? []) {
      if (selects(service, candidate)) this.join(key, pod, candidate);
    }
  }

  removeService(service: Service): void {
    const key = keyOf(service);
    const known = this.services.get(key);
    if (known) this.leave(known, undefined);
    this.services.delete(key);
  }

  /** @returns the Services that have, or had, this pod */
  setPod(pod: Pod): string[] {
    const key = keyOf(pod);
    const labels = labelsOf(pod.metadata.namespace, pod.metadata.labels);
    const old = this.pods.get(key);
    for (const label of old ? labelsOf(old.metadata.namespace, old.metadata.labels) : []) {
      if (!labels.includes(label)) take(this.podsByLabel, label, key);
    }
    this.pods.set(key, pod);
    const concerned = new Set(this.memberships.get(key)?.keys());
    for (const service of concerned) if (!selects(this.services.get(service)!, pod)) this.part(service, key);
    for (const label of labels) {
      put(this.podsByLabel, label, key, pod);
      for (const [name, service] of this.servicesByLabel.get(label) ?? []) {
        if (!selects(service, pod)) continue;
        this.join(name, key, pod);
        concerned.add(name);
      }
    }
    return [...concerned];
  }

  /** @returns the Services that had this pod */
  removePod(pod: Pod): string[] {
    const key = keyOf(pod);
    const known = this.pods.get(key);
    this.pods.delete(key);
    for (const label of known ? labelsOf(known.metadata.namespace, known.metadata.labels) : []) {
      take(this.podsByLabel, label, key);
    }
    const concerned = [...(this.memberships.get(key)?.keys() ?? [])];
    for (const service of concerned) this.part(service, key);
    return concerned;
  }

  /**
   * Takes in a slice as it was seen or written; an older one than is known is left out.
   * @returns the Services whose slices are not as they were last known
   */
  setSlice(slice: EndpointSlice): string[] {
    const key = keyOf(slice);
    const known = this.slices.get(key);
    if (known && known.metadata.uid === slice.metadata.uid && !isNewer(slice, known)) return [];
    this.slices.set(key, slice);
    const [before, after] = [known && ownerOf(known), ownerOf(slice)];
    if (before !== undefined && before !== after) take(this.owned, before, key);
    if (after !== undefined) put(this.owned, after, key, slice);
    return [...new Set([before, after])].filter((owner) => owner !== undefined);
  }

  /** @returns the Services that lost this slice */
  removeSlice(slice: EndpointSlice): string[] {
    const key = keyOf(slice);
    const known = this.slices.get(key);
    if (known?.metadata.uid !== slice.metadata.uid) return [];
    this.slices.delete(key);
    const owner = known && ownerOf(known);
    if (owner === undefined) return [];
    take(this.owned, owner, key);
    return [owner];
  }

  private join(service: string, key: string, pod: Pod): void {
    put(this.members, service, key, pod);
    put(this.memberships, key, service, true);
  }

  private part(service: string, pod: string): void {
    take(this.members, service, pod);
    take(this.memberships, pod, service);
  }

  /** The Service has no pods for now. @param anchor where it is to be found from now on */
  private leave(service: Service, anchor: string | undefined): void {
    const key = keyOf(service);
    for (const pod of [...(this.members.get(key)?.keys() ?? [])]) this.part(key, pod);
    const before = anchorOf(service);
    if (before !== undefined && before !== anchor) take(this.servicesByLabel, before, key);
  }
}

/** The Service of a controller's slice; undefined for one that somebody else made. */
function ownerOf({ metadata }: EndpointSlice): string | undefined {
  const { [SERVICE_NAME]: name, [MANAGED_BY]: manager } = metadata.labels ?? {};
  return name && MANAGERS.includes(manager) ? `${metadata.namespace}/${name}` : undefined;
}

function selectorOf(service: Service): Record<string, string> | undefined {
  return selectsPods(service) ? service.spec!.selector : undefined;
}

/** One label that all pods of the Service have. */
function anchorOf(service: Service): string | undefined {
  return labelsOf(service.metadata.namespace, selectorOf(service))[0];
}

function labelsOf(namespace: string | undefined, labels: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(labels).map(([name, value]) => `${namespace}/${name}=${value}`);
}

/** Resource versions of one object are numbers that grow. */
function isNewer(a: EndpointSlice, b: EndpointSlice): boolean {
  return BigInt(a.metadata.resourceVersion ?? 0) > BigInt(b.metadata.resourceVersion ?? 0);
}

function put<T>(map: Map<string, Map<string, T>>, outer: string, inner: string, value: T): void {
  let child = map.get(outer);
  if (!child) {
    child = new Map();
    map.set(outer, child);
  }
  child.set(inner, value);
}

function take<T>(map: Map<string, Map<string, T>>, outer: string, inner: string): void {
  const child = map.get(outer);
  child?.delete(inner);
  if (child?.size === 0) map.delete(outer);
}
