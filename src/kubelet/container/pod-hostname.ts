import type { Pod } from '../../api/generated/types.ts';

/** The DNS domain of the cluster, as long as it cannot be set. */
export const CLUSTER_DOMAIN = 'cluster.local';

/** A kernel's host name has at most 64 bytes. */
const MAX_FQDN_LENGTH = 64;
const MAX_HOSTNAME_LENGTH = 63;

/** The pod's host name and, with a subdomain, its domain ('' without): the kubelet's GeneratePodHostNameAndDomain. */
export function podHostname(pod: Pod): { readonly hostname: string; readonly domain: string } {
  const { hostname, hostnameOverride, subdomain } = pod.spec ?? {};
  if (hostnameOverride !== undefined) return { hostname: truncate(hostnameOverride), domain: '' };
  return {
    hostname: truncate(hostname || (pod.metadata.name ?? '')),
    domain: subdomain ? `${subdomain}.${pod.metadata.namespace}.svc.${CLUSTER_DOMAIN}` : '',
  };
}

/** What `uname -n` says in the pod. @throws Error when setHostnameAsFQDN makes it too long for the kernel */
export function kernelHostname(pod: Pod): string {
  const { hostname, domain } = podHostname(pod);
  if (!pod.spec?.setHostnameAsFQDN || domain === '') return hostname;
  const fqdn = `${hostname}.${domain}`;
  if (fqdn.length > MAX_FQDN_LENGTH) {
    throw new Error(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long ` +
        `(${MAX_FQDN_LENGTH} characters is the max, ${fqdn.length} characters requested)`,
    );
  }
  return fqdn;
}

function truncate(hostname: string): string {
  return hostname.length <= MAX_HOSTNAME_LENGTH
    ? hostname
    : hostname.slice(0, MAX_HOSTNAME_LENGTH).replace(/[-.]+$/, '');
}
