import type { HostAlias, Pod } from '../../api/generated/types.ts';
import { podHostname } from './pod-hostname.ts';

/**
 * The pod's `/etc/hosts`, word for word as the kubelet writes it (managedHostsFileContent, nodeHostsFileContent).
 * @param nodeHosts the node's own file, for a pod on the host's network
 */
export function hostsFile(pod: Pod, podIPs: readonly string[], nodeHosts: string): string {
  const aliases = aliasLines(pod.spec?.hostAliases ?? []);
  if (pod.spec?.hostNetwork) return `# Kubernetes-managed hosts file (host network).\n${nodeHosts}${aliases}`;
  const { hostname, domain } = podHostname(pod);
  const names = domain === '' ? hostname : `${hostname}.${domain}\t${hostname}`;
  return [
    '# Kubernetes-managed hosts file.\n',
    '127.0.0.1\tlocalhost\n',
    '::1\tlocalhost ip6-localhost ip6-loopback\n',
    'fe00::0\tip6-localnet\n',
    'fe00::0\tip6-mcastprefix\n',
    'fe00::1\tip6-allnodes\n',
    'fe00::2\tip6-allrouters\n',
    ...podIPs.map((ip) => `${ip}\t${names}\n`),
    aliases,
  ].join('');
}

function aliasLines(aliases: readonly HostAlias[]): string {
  if (aliases.length === 0) return '';
  const lines = aliases.map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}\n`);
  return `\n# Entries added by HostAliases.\n${lines.join('')}`;
}
