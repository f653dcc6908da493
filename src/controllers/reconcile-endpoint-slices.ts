import type { Endpoint, EndpointSlice, Pod, Service } from '../api/generated/types.ts';
import { type EndpointGroup, planSlices, type SlicePlan } from './plan-slices.ts';
import { canBeEndpoint, findPort, hostnameFor, isHeadless, isPodReady, podAddress, selects } from './service-pods.ts';

/** Says whose endpoints a slice has. */
export const SERVICE_NAME = 'kubernetes.io/service-name';
/** Says who writes a slice. */
export const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
export const HEADLESS = 'service.kubernetes.io/headless';
export const SLICE_CONTROLLER = 'endpointslice-controller.k8s.io';

const MAX_ENDPOINTS_PER_SLICE = 100;
const MAX_NAME_LENGTH = 253;

/**
 * How the slices of a Service become those of the pods that it selects. Pods that are being deleted stay until they have ended: their
 * conditions say what they are still good for. Pure. Rules: endpointslice/reconciler.go and utils.go
 * @param pods those of others are passed over
 * @param existing the slices that this controller made for the Service
 */
export function reconcileEndpointSlices(
  service: Service,
  pods: readonly Pod[],
  existing: readonly EndpointSlice[],
  triggerTime?: string,
): SlicePlan {
  const { name = '', namespace, uid = '', labels } = service.metadata;
  const owner = { apiVersion: 'v1', kind: 'Service', name, uid, controller: true, blockOwnerDeletion: true };
  return planSlices(
    {
      metadata: {
        generateName: slicePrefix(name),
        namespace,
        labels: sliceLabels(labels, name, SLICE_CONTROLLER, isHeadless(service)),
        ownerReferences: [owner],
      },
      groups: groupsOf(service, pods),
      maxEndpoints: MAX_ENDPOINTS_PER_SLICE,
      // A pod that got another address is another endpoint.
      keyOf: ({ targetRef, addresses }) => `${targetRef?.uid}/${addresses[0]}`,
      placeholder: true,
    },
    existing,
    triggerTime,
  );
}

/** What the names of a Service's slices begin with: generated names cut what is too long, but must stay valid before. */
export function slicePrefix(name: string): string {
  return name.length < MAX_NAME_LENGTH ? `${name}-` : name;
}

/** The labels of a slice: those of the object it follows, and those that tell what it is. */
export function sliceLabels(
  labels: Readonly<Record<string, string>> = {},
  service: string,
  managedBy: string,
  headless: boolean,
): Record<string, string> {
  const { [SERVICE_NAME]: _, [MANAGED_BY]: __, [HEADLESS]: ___, ...copied } = labels;
  return { ...copied, [SERVICE_NAME]: service, [MANAGED_BY]: managedBy, ...(headless ? { [HEADLESS]: '' } : {}) };
}

/** Pods whose named ports lead to different numbers are in different slices. */
function groupsOf(service: Service, pods: readonly Pod[]): EndpointGroup[] {
  const groups = new Map<string, EndpointGroup & { readonly endpoints: Endpoint[] }>();
  for (const pod of pods) {
    if (!selects(service, pod) || !canBeEndpoint(pod)) continue;
    const ports = portsOf(service, pod);
    const id = JSON.stringify(ports);
    const group = groups.get(id) ?? { addressType: 'IPv4', ports, endpoints: [] };
    groups.set(id, group);
    group.endpoints.push(endpointOf(service, pod));
  }
  return [...groups.values()];
}

function portsOf({ spec }: Service, pod: Pod): EndpointGroup['ports'] {
  return (spec?.ports ?? []).flatMap((each) => {
    const port = findPort(pod, each);
    const { name = '', protocol = 'TCP', appProtocol } = each;
    return port === undefined ? [] : { name, protocol, port, ...(appProtocol === undefined ? {} : { appProtocol }) };
  });
}

function endpointOf(service: Service, pod: Pod): Endpoint {
  const { name, namespace, uid, deletionTimestamp } = pod.metadata;
  const serving = isPodReady(pod);
  const terminating = deletionTimestamp !== undefined;
  const hostname = hostnameFor(service, pod);
  const { nodeName } = pod.spec;
  return {
    addresses: [podAddress(pod.status)!],
    conditions: {
      ready: service.spec?.publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
    },
    ...(hostname ? { hostname } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(nodeName ? { nodeName } : {}),
  };
}
