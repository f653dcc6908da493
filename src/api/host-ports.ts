import { parseIPv4 } from '../lib/ipv4.ts';
import type { Pod } from './generated/types.ts';
import { isSidecar } from './pod-resources.ts';

/** A port of the host that a pod asks for. */
export interface HostPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** '' for every address of the host. */
  readonly hostIP: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** The host ports of a pod's containers and sidecars. With hostNetwork they are the containers' own. Pure. */
export function hostPortsOf(pod: Pod): HostPort[] {
  const sidecars = (pod.spec?.initContainers ?? []).filter(isSidecar);
  return [...(pod.spec?.containers ?? []), ...sidecars].flatMap((container) =>
    (container.ports ?? [])
      .filter((port) => (port.hostPort ?? 0) > 0)
      .map((port) => ({
        protocol: (port.protocol ?? 'TCP').toLowerCase() as HostPort['protocol'],
        hostIP: isAnyAddress(port.hostIP ?? '') ? '' : port.hostIP!,
        hostPort: port.hostPort!,
        containerPort: port.containerPort,
      })),
  );
}

/** Whether others have host ports that a pod asks for. Pure. */
export function hasHostPortClash(pod: Pod, others: readonly Pod[]): boolean {
  const wanted = hostPortsOf(pod);
  const taken = wanted.length > 0 ? others.flatMap(hostPortsOf) : [];
  return wanted.some((port) => taken.some((other) => clash(port, other)));
}

/** Whether two pods cannot have these ports at once: HostPortInfo.CheckConflict of the scheduler's framework. */
function clash(a: HostPort, b: HostPort): boolean {
  return (
    a.protocol === b.protocol &&
    a.hostPort === b.hostPort &&
    (a.hostIP === b.hostIP || a.hostIP === '' || b.hostIP === '')
  );
}

function isAnyAddress(ip: string): boolean {
  return ip === '' || ip === '::' || parseIPv4(ip) === 0;
}
