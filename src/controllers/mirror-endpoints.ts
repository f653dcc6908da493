import type { Endpoint, EndpointAddress, EndpointSlice, Endpoints } from '../api/generated/types.ts';
import { type EndpointGroup, LAST_CHANGE_TRIGGER_TIME, planSlices, type SlicePlan } from './plan-slices.ts';
import { HEADLESS, sliceLabels, slicePrefix } from './reconcile-endpoint-slices.ts';

export const MIRROR_CONTROLLER = 'endpointslicemirroring-controller.k8s.io';

const MAX_ENDPOINTS_PER_SUBSET = 1000;
const SKIP = 'endpointslice.kubernetes.io/skip-mirror';
const LEADER = 'control-plane.alpha.kubernetes.io/leader';
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * How the slices of a Service without a selector become what its hand-made Endpoints say, for readers that know only slices. Pure.
 * Rules: pkg/controller/endpointslicemirroring
 * @param existing the slices that a controller made for this Service
 */
export function mirrorEndpoints(
  endpoints: Endpoints,
  existing: readonly EndpointSlice[],
  triggerTime?: string,
): SlicePlan {
  const { name = '', namespace, uid = '', labels = {}, annotations = {} } = endpoints.metadata;
  const { [LAST_APPLIED]: _, [LAST_CHANGE_TRIGGER_TIME]: __, ...copied } = annotations;
  const owner = { apiVersion: 'v1', kind: 'Endpoints', name, uid, controller: true, blockOwnerDeletion: true };
  return planSlices(
    {
      metadata: {
        generateName: slicePrefix(name),
        namespace,
        labels: sliceLabels(labels, name, MIRROR_CONTROLLER, labels[HEADLESS] !== undefined),
        annotations: copied,
        ownerReferences: [owner],
      },
      groups: groupsOf(endpoints),
      maxEndpoints: MAX_ENDPOINTS_PER_SUBSET,
      keyOf: ({ addresses }) => addresses[0] ?? '',
      placeholder: false,
    },
    existing,
    triggerTime,
  );
}

/** Whether these Endpoints are to be mirrored at all. */
export function isMirrored(endpoints: Endpoints): boolean {
  return endpoints.metadata.labels?.[SKIP] !== 'true' && !isLeaderRecord(endpoints);
}

/** Whether old programs elect their leader by it: it is of no Service. */
export function isLeaderRecord({ metadata: { annotations } }: Endpoints): boolean {
  return annotations?.[LEADER] !== undefined;
}

function groupsOf({ subsets = [] }: Endpoints): EndpointGroup[] {
  const groups: EndpointGroup[] = [];
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const all = [
      ...addresses.map((address) => endpointOf(address, true)),
      ...notReadyAddresses.map((address) => endpointOf(address, false)),
    ];
    for (const addressType of ['IPv4', 'IPv6'] as const) {
      const fitting = all.filter(({ addresses: [ip] }) => ip!.includes(':') === (addressType === 'IPv6'));
      const endpoints = fitting.slice(0, MAX_ENDPOINTS_PER_SUBSET);
      const named = ports.map(({ name = '', ...port }) => ({ name, ...port }));
      if (endpoints.length > 0) groups.push({ addressType, ports: named, endpoints });
    }
  }
  return groups;
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(targetRef ? { targetRef } : {}),
    ...(nodeName ? { nodeName } : {}),
  };
}
