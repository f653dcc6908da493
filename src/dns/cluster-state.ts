import type { EndpointSlice, Namespace, Pod, Service } from '../api/generated/types.ts';
import { isTerminalPhase } from '../api/pod-phase.ts';
import type { Informer } from '../client/informer.ts';
import { ObjectIndex } from './object-index.ts';

/** What the names of a cluster follow from. Namespaces and names are in lower case, as all that Kubernetes allows are. */
export interface ClusterState {
  hasNamespace(name: string): boolean;
  service(namespace: string, name: string): Service | undefined;
  /** The Service that has this cluster IP. */
  serviceAt(address: string): Service | undefined;
  slicesOf(namespace: string, service: string): readonly EndpointSlice[];
  /** The slices that have an endpoint at this address. */
  slicesAt(address: string): readonly EndpointSlice[];
  hasPodAt(namespace: string, address: string): boolean;
}

/** A slice's label that says whose endpoints it has. */
const SERVICE_NAME = 'kubernetes.io/service-name';

export interface ClusterInformers {
  readonly namespaces: Informer<Namespace>;
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  readonly pods: Informer<Pod>;
}

/** What informers know now, indexed, so that no answer takes longer in a larger cluster. */
export function watchedState({ namespaces, services, endpointSlices, pods }: ClusterInformers): ClusterState {
  const servicesAt = new ObjectIndex(services, clusterIPs);
  const slicesOf = new ObjectIndex(endpointSlices, (slice) => [`${slice.metadata.namespace}/${serviceOf(slice)}`]);
  const slicesAt = new ObjectIndex(endpointSlices, (slice) => (slice.endpoints ?? []).flatMap((e) => e.addresses));
  const podsAt = new ObjectIndex(pods, (pod) => podIPs(pod).map((ip) => `${pod.metadata.namespace}/${ip}`));
  return {
    hasNamespace: (name) => namespaces.get(name) !== undefined,
    service: (namespace, name) => services.get(name, namespace),
    serviceAt: (address) => servicesAt.get(address)[0],
    slicesOf: (namespace, service) => slicesOf.get(`${namespace}/${service}`),
    slicesAt: (address) => slicesAt.get(address),
    hasPodAt: (namespace, address) => podsAt.get(`${namespace}/${address}`).length > 0,
  };
}

/** The addresses of a Service that has some: not of a headless one, nor of an ExternalName. */
export function clusterIPs({ spec }: Service): readonly string[] {
  if (spec?.type === 'ExternalName') return [];
  const all = spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP]);
  return all.filter((ip) => ip !== '' && ip !== 'None');
}

/** The name of the Service whose endpoints a slice has. */
export function serviceOf(slice: EndpointSlice): string {
  return slice.metadata.labels?.[SERVICE_NAME] ?? '';
}

/** A finished pod's address may be another's by now. */
function podIPs({ status }: Pod): readonly string[] {
  if (isTerminalPhase(status?.phase)) return [];
  return status?.podIPs?.flatMap(({ ip }) => ip ?? []) ?? [];
}
