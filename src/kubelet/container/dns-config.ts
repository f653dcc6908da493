import type { Pod, PodDNSConfigOption } from '../../api/generated/types.ts';
import type { DNSConfig } from '../../cri/generated/cri.ts';

/** What a `resolv.conf` says, as the kubelet reads it (`pkg/kubelet/network/dns`, parseResolvConf). See resolv.conf(5). */
export function parseResolvConf(text: string): DNSConfig {
  const servers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line.trim().split(/\s+/);
    if (keyword === 'nameserver' && values[0] !== undefined) servers.push(values[0]);
    // A later `search` replaces an earlier one. A trailing dot says nothing, except alone.
    if (keyword === 'search') searches = values.map((domain) => (domain === '.' ? domain : domain.replace(/\.$/, '')));
    if (keyword === 'options') options = mergeOptions(options, values);
  }
  return { servers, searches: unique(searches), options };
}

/**
 * The DNS of a pod. `ClusterFirst` is as `Default` while there is no cluster DNS, which is what the kubelet does without one; `None`
 * starts from nothing. The pod's dnsConfig comes on top.
 */
export function podDNSConfig(pod: Pod, host: DNSConfig): DNSConfig {
  const base: DNSConfig = pod.spec?.dnsPolicy === 'None' ? { servers: [], searches: [], options: [] } : host;
  const { nameservers = [], searches = [], options = [] } = pod.spec?.dnsConfig ?? {};
  return {
    servers: unique([...base.servers, ...nameservers]),
    searches: unique([...base.searches, ...searches]),
    options: mergeOptions(base.options, options.map(optionText)),
  };
}

function optionText({ name = '', value }: PodDNSConfigOption): string {
  return value === undefined || value === '' ? name : `${name}:${value}`;
}

/** One option a name; the later one stands, in the place of the first. */
function mergeOptions(first: readonly string[], second: readonly string[]): string[] {
  const merged = new Map<string, string>();
  for (const option of [...first, ...second]) merged.set(option.split(':', 1)[0]!, option);
  return [...merged.values()];
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
