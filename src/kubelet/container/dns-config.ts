import type { Pod, PodDNSConfigOption } from '../../api/generated/types.ts';
import type { DNSConfig } from '../../cri/generated/cri.ts';
import { mergeResolverOptions, type ResolvConf } from '../../lib/resolv-conf.ts';
import type { NodeSettings } from '../ports.ts';

/** Names with fewer dots are looked for in the search list first: `web`, `web.shop` and `web.shop.svc` are names of the cluster. */
const CLUSTER_OPTIONS = ['ndots:5'];
/** What the C library takes of nameservers; the kubelet cuts the rest off. */
const MAX_SERVERS = 3;

/**
 * The DNS of a pod, by its dnsPolicy; its dnsConfig comes on top. Rules: the kubelet's (`pkg/kubelet/network/dns`, GetPodDNS).
 * @param host what the node's resolv.conf says
 */
export function podDNSConfig(pod: Pod, host: ResolvConf, settings: DNSSettings): DNSConfig {
  const base = baseConfig(pod, host, settings);
  const { nameservers = [], searches = [], options = [] } = pod.spec?.dnsConfig ?? {};
  return {
    servers: unique([...base.servers, ...nameservers]).slice(0, MAX_SERVERS),
    searches: unique([...base.searches, ...searches]),
    options: mergeResolverOptions(base.options, options.map(optionText)),
  };
}

type DNSSettings = Pick<NodeSettings, 'clusterDNS' | 'clusterDomain'>;

function baseConfig(pod: Pod, host: ResolvConf, { clusterDNS, clusterDomain }: DNSSettings): ResolvConf {
  const { dnsPolicy, hostNetwork } = pod.spec ?? {};
  if (dnsPolicy === 'None') return { servers: [], searches: [], options: [] };
  // On the host's network `ClusterFirst` means the host's names, unless the pod says that it means it.
  const isClusters = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork);
  if (!isClusters || clusterDNS.length === 0) return host;
  const inCluster = [`${pod.metadata.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
  return { servers: [...clusterDNS], searches: [...inCluster, ...host.searches], options: CLUSTER_OPTIONS };
}

function optionText({ name = '', value }: PodDNSConfigOption): string {
  return value === undefined || value === '' ? name : `${name}:${value}`;
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
