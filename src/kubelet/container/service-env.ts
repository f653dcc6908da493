import type { Pod, Service } from '../../api/generated/types.ts';
import { SERVICES } from '../../api/resources.ts';
import { hasReason } from '../../api/status-error.ts';
import type { KubeClient } from '../../client/kube-client.ts';

/** The Services that a pod's environment names. */
export type LinkedServices = (pod: Pod) => Promise<readonly Service[]>;

/** The API server's own Service, which every pod is told of. */
const API_SERVICE = { namespace: 'default', name: 'kubernetes' };

/** Those of the pod's namespace, unless it does not want them (enableServiceLinks), and the API server's. Asked for each time. */
export function apiLinkedServices(client: KubeClient): LinkedServices {
  return async ({ metadata, spec }) => {
    const { namespace } = metadata;
    const own = spec?.enableServiceLinks === false ? undefined : await found(client.list(SERVICES, { namespace }));
    const services = own?.items ?? [];
    if (services.some((service) => service.metadata.name === API_SERVICE.name)) return services;
    const api = await found(client.get(SERVICES, API_SERVICE));
    return api ? [...services, api] : services;
  };
}

/** Undefined for what is not there, which may be the resource as a whole. */
async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (hasReason(error, 'NotFound')) return undefined;
    throw error;
  }
}

/**
 * Variables that lead to Services with a cluster IP: `WEB_SERVICE_HOST`, `WEB_SERVICE_PORT`, one more for each named port, and what
 * Docker's links had (`WEB_PORT_80_TCP` and so on). As `pkg/kubelet/envvars`. Pure.
 */
export function serviceEnvironment(services: readonly Service[]): Map<string, string> {
  const env = new Map<string, string>();
  for (const { metadata, spec } of services) {
    const { clusterIP = '', ports = [] } = spec ?? {};
    if (clusterIP === '' || clusterIP === 'None') continue;
    const prefix = variableName(metadata.name ?? '');
    const host = clusterIP.includes(':') ? `[${clusterIP}]` : clusterIP;
    env.set(`${prefix}_SERVICE_HOST`, clusterIP);
    for (const [index, { name, port, protocol = 'TCP' }] of ports.entries()) {
      const proto = protocol.toLowerCase();
      const url = `${proto}://${host}:${port}`;
      if (index === 0) env.set(`${prefix}_SERVICE_PORT`, String(port)).set(`${prefix}_PORT`, url);
      if (name) env.set(`${prefix}_SERVICE_PORT_${variableName(name)}`, String(port));
      const link = `${prefix}_PORT_${port}_${protocol}`;
      env.set(link, url).set(`${link}_PROTO`, proto).set(`${link}_PORT`, String(port)).set(`${link}_ADDR`, clusterIP);
    }
  }
  return env;
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}
