import type { ConfigMap, Secret } from '../../api/generated/types.ts';
import { CONFIGMAPS, SECRETS } from '../../api/resources.ts';
import { hasReason } from '../../api/status-error.ts';
import type { KubeClient } from '../../client/kube-client.ts';

/** The ConfigMaps and Secrets that pods refer to, with the kubelet's words for those that are missing. */
export interface ConfigObjects {
  /** Undefined when it does not exist and `optional`. @throws Error `configmap "NAME" not found` */
  configMap(namespace: string, name: string, optional: boolean): Promise<ConfigMap | undefined>;
  /** Undefined when it does not exist and `optional`. @throws Error `secret "NAME" not found` */
  secret(namespace: string, name: string, optional: boolean): Promise<Secret | undefined>;
}

/** Reads them from the API server each time: volumes and environments must show what stands there now. */
export class ApiConfigObjects implements ConfigObjects {
  private readonly client: KubeClient;

  constructor(client: KubeClient) {
    this.client = client;
  }

  configMap(namespace: string, name: string, optional: boolean): Promise<ConfigMap | undefined> {
    return found(this.client.get(CONFIGMAPS, { namespace, name }), 'configmap', name, optional);
  }

  secret(namespace: string, name: string, optional: boolean): Promise<Secret | undefined> {
    return found(this.client.get(SECRETS, { namespace, name }), 'secret', name, optional);
  }
}

/** The API server names the resource in the plural; the kubelet's own message, which statuses show, has the singular. */
async function found<T>(answer: Promise<T>, kind: string, name: string, optional: boolean): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (!hasReason(error, 'NotFound')) throw error;
    if (optional) return undefined;
    throw new Error(`${kind} ${JSON.stringify(name)} not found`, { cause: error });
  }
}

/** Values of a ConfigMap, text and binary. */
export function configMapData(configMap: ConfigMap): Map<string, Buffer> {
  const text = Object.entries(configMap.data ?? {}).map(([key, value]) => [key, Buffer.from(value)] as const);
  const binary = Object.entries(configMap.binaryData ?? {}).map(([k, v]) => [k, Buffer.from(v, 'base64')] as const);
  return new Map([...text, ...binary]);
}

/** Values of a Secret. */
export function secretData(secret: Secret): Map<string, Buffer> {
  return new Map(Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
}
