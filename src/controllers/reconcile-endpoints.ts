import { isDeepStrictEqual } from 'node:util';
import type { EndpointAddress, EndpointSubset, Endpoints, Pod, Service } from '../api/generated/types.ts';
import { LAST_CHANGE_TRIGGER_TIME } from './plan-slices.ts';
import { HEADLESS } from './reconcile-endpoint-slices.ts';
import { canBeEndpoint, findPort, hostnameFor, isHeadless, isPodReady, podAddress, selects } from './service-pods.ts';

/** Says that the controller writes an Endpoints object, and not the owner of a Service without selector. */
const ENDPOINTS_MANAGED_BY = 'endpoints.kubernetes.io/managed-by';
const ENDPOINTS_CONTROLLER = 'endpoint-controller';

type Subset = Required<EndpointSubset>;

/**
 * The older form of what a Service leads to, as it is to be written; undefined when it is as it should be. A pod that is being deleted is
 * in it only when the Service publishes what is not ready. Pure. Rules: pkg/controller/endpoint/endpoints_controller.go
 * @param pods those of others are passed over
 */
export function reconcileEndpoints(
  service: Service,
  pods: readonly Pod[],
  existing: Endpoints | undefined,
  triggerTime?: string,
): Endpoints | undefined {
  const { name, namespace } = service.metadata;
  const labels = labelsOf(service);
  const subsets = subsetsOf(service, pods);
  if (
    existing &&
    isDeepStrictEqual(existing.subsets ?? [], subsets) &&
    isDeepStrictEqual({ ...existing.metadata.labels }, labels)
  ) {
    return undefined;
  }
  const { [LAST_CHANGE_TRIGGER_TIME]: _, ...annotations } = existing?.metadata.annotations ?? {};
  if (triggerTime !== undefined) annotations[LAST_CHANGE_TRIGGER_TIME] = triggerTime;
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { ...(existing?.metadata ?? { name, namespace }), labels, annotations },
    ...(subsets.length > 0 ? { subsets } : {}),
  };
}

function labelsOf(service: Service): Record<string, string> {
  const { [HEADLESS]: _, ...labels } = service.metadata.labels ?? {};
  return {
    ...labels,
    [ENDPOINTS_MANAGED_BY]: ENDPOINTS_CONTROLLER,
    ...(isHeadless(service) ? { [HEADLESS]: '' } : {}),
  };
}

/** One subset for each set of ports, everything in an order of its own, so that the same pods make the same object. */
function subsetsOf(service: Service, pods: readonly Pod[]): EndpointSubset[] {
  const publish = service.spec?.publishNotReadyAddresses === true;
  const subsets = new Map<string, Subset>();
  for (const pod of pods) {
    if (!selects(service, pod) || !canBeEndpoint(pod) || (pod.metadata.deletionTimestamp && !publish)) continue;
    const ports = portsOf(service, pod);
    // Only a headless Service may be without ports.
    if (ports.length === 0 && service.spec?.ports?.length) continue;
    const id = JSON.stringify(ports);
    const subset = subsets.get(id) ?? { addresses: [], notReadyAddresses: [], ports };
    subsets.set(id, subset);
    (publish || isPodReady(pod) ? subset.addresses : subset.notReadyAddresses).push(addressOf(service, pod));
  }
  return [...subsets].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, subset]) => withoutEmpty(subset));
}

function portsOf({ spec }: Service, pod: Pod): Subset['ports'] {
  const ports = (spec?.ports ?? []).flatMap((each) => {
    const port = findPort(pod, each);
    const { name, protocol = 'TCP', appProtocol } = each;
    if (port === undefined) return [];
    return { ...(name ? { name } : {}), port, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) };
  });
  return ports.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

function addressOf(service: Service, pod: Pod): EndpointAddress {
  const { name, namespace, uid } = pod.metadata;
  const hostname = hostnameFor(service, pod);
  const { nodeName } = pod.spec;
  return {
    ip: podAddress(pod.status)!,
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}

function withoutEmpty({ addresses, notReadyAddresses, ports }: Subset): EndpointSubset {
  const sorted = (list: EndpointAddress[]) => list.sort((a, b) => (a.ip < b.ip ? -1 : 1));
  return {
    ...(addresses.length > 0 ? { addresses: sorted(addresses) } : {}),
    ...(notReadyAddresses.length > 0 ? { notReadyAddresses: sorted(notReadyAddresses) } : {}),
    ...(ports.length > 0 ? { ports } : {}),
  };
}
