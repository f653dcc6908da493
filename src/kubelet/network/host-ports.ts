import type { Pod } from '../../api/generated/types.ts';
import { parseIPv4 } from '../../lib/ipv4.ts';

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
  const sidecars = (pod.spec?.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
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

/**
 * Why the kubelet must not admit a pod next to others: as the scheduler and the kubelet's own check say it (plugin NodePorts), since
 * there is no other node to go to. Undefined when all its host ports are free.
 * @param others the pods that the node runs, without those that finished
 */
export function hostPortConflict(
  pod: Pod,
  others: readonly Pod[],
): { readonly reason: 'NodePorts'; readonly message: string } | undefined {
  const wanted = hostPortsOf(pod);
  if (wanted.length === 0) return undefined;
  const taken = others.filter((other) => other.metadata.uid !== pod.metadata.uid).flatMap(hostPortsOf);
  if (!wanted.some((port) => taken.some((other) => clashes(port, other)))) return undefined;
  return {
    reason: 'NodePorts',
    message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
  };
}

function clashes(a: HostPort, b: HostPort): boolean {
  return (
    a.protocol === b.protocol &&
    a.hostPort === b.hostPort &&
    (a.hostIP === b.hostIP || a.hostIP === '' || b.hostIP === '')
  );
}

function isAnyAddress(ip: string): boolean {
  return ip === '' || ip === '::' || parseIPv4(ip) === 0;
}
