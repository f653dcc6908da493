import type { EndpointSlice, Service } from '../api/generated/types.ts';
import { ENDPOINTSLICES, type KubeObject, type Resource, SERVICES } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import type { KubeClient } from '../client/kube-client.ts';

/** The name that every cluster's DNS has, whatever it is. */
const KEY = { namespace: 'kube-system', name: 'kube-dns' };
const PORTS = [
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns-tcp', port: 53, protocol: 'TCP' },
] as const;

/**
 * Shows the cluster's DNS in the API, where people look for it: a Service `kube-dns` with its address, and its endpoint. Its label says
 * that the proxy need not care: the address is the host's own, and we listen there. Idempotent. @throws ApiStatusError
 */
export async function announceDns(client: KubeClient, address: string): Promise<void> {
  const service: Service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...KEY,
      labels: {
        'k8s-app': 'kube-dns',
        'kubernetes.io/cluster-service': 'true',
        'service.kubernetes.io/service-proxy-name': 'kubelette-dns',
      },
    },
    spec: { clusterIP: address, ports: PORTS.map((port) => ({ ...port, targetPort: port.port })) },
  };
  const slice: EndpointSlice = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...KEY,
      labels: {
        'kubernetes.io/service-name': KEY.name,
        'endpointslice.kubernetes.io/managed-by': 'kubelette-dns',
      },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true, serving: true, terminating: false } }],
    ports: PORTS.map((port) => ({ ...port })),
  };
  await ensure(client, SERVICES, service, ({ spec }) => spec?.clusterIP === address);
  await ensure(client, ENDPOINTSLICES, slice, ({ endpoints }) => endpoints?.[0]?.addresses[0] === address);
}

/** Leaves one that fits as it is, whatever its owner changed about it; replaces any other. */
async function ensure<T extends KubeObject>(
  client: KubeClient,
  resource: Resource<T>,
  wanted: T,
  fits: (object: T) => boolean,
): Promise<void> {
  // Asked first, since an address that is taken is refused before a name that is.
  const found = await client.get(resource, KEY).catch((error: unknown) => {
    if (!hasReason(error, 'NotFound')) throw error;
    return undefined;
  });
  if (found && fits(found)) return;
  // A cluster IP cannot be changed.
  if (found) await client.delete(resource, KEY);
  await client.create(resource, wanted);
}
