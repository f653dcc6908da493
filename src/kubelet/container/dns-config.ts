import type { Pod, PodDNSConfigOption } from '../../api/generated/types.ts';
import type { DNSConfig } from '../../cri/generated/cri.ts';
import { mergeResolverOptions, type ResolvConf } from '../../lib/resolv-conf.ts';
import type { NodeSettings } from '../ports.ts';

/** Names with fewer dots are looked for in the search list first: `web`, `web.shop` and `web.shop.svc` are names of the cluster. */
const CLUSTER_OPTIONS = ['ndots:5'];
/** What the C library takes of nameservers; the kubelet cuts the rest off. */
const MAX_SERVERS = 3;
const MAX_SEARCHES = 32;
/** Of the whole line, blanks included. */
const MAX_SEARCH_LINE = 2048;
/** Some C libraries abort at a longer one. */
const MAX_SEARCH = 253;

export interface PodDNS {
  readonly config: DNSConfig;
  /** What was left out because there is too much of it: messages of events `DNSConfigForming`. */
  readonly warnings: readonly string[];
}

/**
 * The DNS of a pod, by its dnsPolicy; its dnsConfig comes on top. Rules and words: the kubelet's (`pkg/kubelet/network/dns`, GetPodDNS).
 * @param host what the node's resolv.conf says
 */
export function podDNSConfig(pod: Pod, host: ResolvConf, settings: DNSSettings): PodDNS {
  const base = baseConfig(pod, host, settings);
  const { nameservers = [], searches = [], options = [] } = pod.spec?.dnsConfig ?? {};
  const wanted = {
    servers: unique([...base.servers, ...nameservers]),
    searches: unique([...base.searches, ...searches]),
  };
  const config = {
    servers: wanted.servers.slice(0, MAX_SERVERS),
    searches: fittingSearches(wanted.searches),
    options: mergeResolverOptions(base.options, options.map(optionText)),
  };
  const warnings: string[] = [];
  if (config.servers.length < wanted.servers.length) {
    const line = config.servers.join(' ');
    warnings.push(
      `Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${line}`,
    );
  }
  if (config.searches.length < wanted.searches.length) {
    const line = config.searches.join(' ');
    warnings.push(
      `Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${line}`,
    );
  }
  return { config, warnings };
}

function fittingSearches(searches: readonly string[]): string[] {
  const fitting = searches.slice(0, MAX_SEARCHES).filter((search) => search.length <= MAX_SEARCH);
  while (fitting.join(' ').length > MAX_SEARCH_LINE) fitting.pop();
  return fitting;
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
