import type { AgentService } from '../controllers/agent-service.ts';
import { formatIPv4, parseCidr } from '../lib/ipv4.ts';

/** The last part of every cluster name, as in every cluster where nobody chose another. */
export const CLUSTER_DOMAIN = 'cluster.local';

/** Addresses that an agent has for its pods. */
export interface AgentAddresses {
  /** The host's own on the pods' bridge, where the API server listens for them. */
  readonly gateway: string;
  /** The cluster addresses of the API server and of DNS: the first (upstream), and by custom (kubeadm) the tenth. */
  readonly api: string;
  readonly dns: string;
}

export function agentAddresses(podCIDR: string, serviceCIDR: string): AgentAddresses {
  const nth = (network: string, n: number): string => formatIPv4(parseCidr(network)!.base + n);
  return { gateway: nth(podCIDR, 1), api: nth(serviceCIDR, 1), dns: nth(serviceCIDR, 10) };
}

/** What pods may call the API server, besides what every server of its kind is called. */
export function apiServerNames({ gateway, api }: AgentAddresses): string[] {
  return [gateway, api, `kubernetes.default.svc.${CLUSTER_DOMAIN}`];
}

/** The API server's Service (pkg/controlplane/controller/kubernetesservice). @param address where it listens for pods, if it does */
export function apiService(clusterIP: string, port: number, address: string | undefined): AgentService {
  return {
    namespace: 'default',
    name: 'kubernetes',
    labels: { component: 'apiserver', provider: 'kubernetes' },
    clusterIP,
    ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }],
    address,
  };
}

/**
 * The cluster's DNS, under the name that it has everywhere, whatever it is. The last label says that the proxy need not care: the
 * address is the host's own, and we listen there.
 */
export function dnsService(address: string): AgentService {
  return {
    namespace: 'kube-system',
    name: 'kube-dns',
    labels: {
      'k8s-app': 'kube-dns',
      'kubernetes.io/cluster-service': 'true',
      'service.kubernetes.io/service-proxy-name': 'kubelette-dns',
    },
    clusterIP: address,
    ports: [
      { name: 'dns', protocol: 'UDP', port: 53, targetPort: 53 },
      { name: 'dns-tcp', protocol: 'TCP', port: 53, targetPort: 53 },
    ],
    address,
  };
}
