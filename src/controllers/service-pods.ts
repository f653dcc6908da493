import { getCondition } from '../api/conditions.ts';
import type { Pod, Service, ServicePort } from '../api/generated/types.ts';

/** What of a pod counts for a Service. Rules: endpointslice/util and endpointslice/utils.go */

/** Whether endpoints follow from pods; otherwise somebody writes them, or there are none. */
export function selectsPods({ spec }: Service): boolean {
  return Object.keys(spec?.selector ?? {}).length > 0 && spec?.type !== 'ExternalName';
}

/** Whether the pod is one of the Service's. */
export function selects(service: Service, pod: Pod): boolean {
  if (!selectsPods(service) || service.metadata.namespace !== pod.metadata.namespace) return false;
  const labels = pod.metadata.labels ?? {};
  return Object.entries(service.spec!.selector!).every(
    ([key, value]) => Object.hasOwn(labels, key) && labels[key] === value,
  );
}

/** Whether a pod has an address and may answer. */
export function canBeEndpoint({ status }: Pod): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed' && podAddress(status) !== undefined;
}

/** The pod's IPv4 address. */
export function podAddress(status: Pod['status']): string | undefined {
  const addresses = status?.podIPs?.map(({ ip }) => ip) ?? [];
  return [...addresses, status?.podIP].find((address) => address && !address.includes(':'));
}

export function isPodReady({ status }: Pod): boolean {
  return getCondition(status?.conditions, 'Ready')?.status === 'True';
}

/** Only a headless Service's pods have names of their own. */
export function hostnameFor(service: Service, { spec, metadata }: Pod): string | undefined {
  const named = spec.subdomain === service.metadata.name && metadata.namespace === service.metadata.namespace;
  return named && spec.hostname ? spec.hostname : undefined;
}

/** The container port that a Service's port leads to; undefined when it is named and the pod has none of that name. */
export function findPort({ spec }: Pod, { targetPort, port, protocol = 'TCP' }: ServicePort): number | undefined {
  if (typeof targetPort !== 'string') return targetPort ?? port;
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const ports = [...spec.containers, ...sidecars].flatMap((container) => container.ports ?? []);
  return ports.find((each) => each.name === targetPort && (each.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** Names of target ports that none of the Service's pods has, although there are pods that could have them. */
export function lostPorts({ spec }: Service, pods: readonly Pod[]): string[] {
  const able = pods.filter(canBeEndpoint);
  const lost = (spec?.ports ?? []).filter((port) => able.every((pod) => findPort(pod, port) === undefined));
  return able.length === 0 ? [] : [...new Set(lost.map(({ targetPort }) => String(targetPort)))];
}

/** Whether the Service has no address of its own. */
export function isHeadless({ spec }: Service): boolean {
  return !spec?.clusterIP || spec.clusterIP === 'None';
}
