import type { EndpointSlice, Endpoints, Service } from '../api/generated/types.ts';

/** A Service that leads to a server of the agent itself, which every cluster has. */
export interface AgentService {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly clusterIP: string;
  readonly ports: readonly AgentServicePort[];
  /** Where the server listens; undefined: nowhere that pods could reach, and they are refused. */
  readonly address: string | undefined;
}

export interface AgentServicePort {
  readonly name: string;
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
  /** Where the server listens. */
  readonly targetPort: number;
}

/** What it is in the API. Source of labels and conditions: pkg/controlplane/reconcilers/endpointsadapter.go. Pure. */
export function agentServiceObjects({ namespace, name, labels, clusterIP, ports, address }: AgentService): {
  readonly service: Service;
  readonly endpoints: Endpoints;
  readonly slice: EndpointSlice;
} {
  const listening = ports.map(({ targetPort: port, ...rest }) => ({ name: rest.name, protocol: rest.protocol, port }));
  return {
    service: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { namespace, name, labels: { ...labels } },
      spec: { type: 'ClusterIP', clusterIP, ports: ports.map((port) => ({ ...port })) },
    },
    endpoints: {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { namespace, name, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
      subsets: address === undefined ? [] : [{ addresses: [{ ip: address }], ports: listening }],
    },
    slice: {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { namespace, name, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: address === undefined ? [] : [{ addresses: [address], conditions: { ready: true } }],
      ports: listening,
    },
  };
}
