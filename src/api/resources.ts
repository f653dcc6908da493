import type {
  ConfigMap,
  EndpointSlice,
  Endpoints,
  Event,
  Lease,
  Namespace,
  Node,
  ObjectMeta,
  ObjectReference,
  Pod,
  Secret,
  Service,
  ServiceAccount,
} from './generated/types.ts';

/** What every stored object has. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/**
 * A resource of the API, and by its type parameter the shape of its objects.
 * The phantom member only carries the type; it does not exist at run time.
 */
export interface Resource<T extends KubeObject = KubeObject> {
  /** '' for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural, lower case: the name in the path. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly _object?: T;
}

const define = <T extends KubeObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
  namespaced = true,
) => ({ group, version, plural, kind, namespaced }) as Resource<T>;

export const PODS = define<Pod>('', 'v1', 'pods', 'Pod');
export const NODES = define<Node>('', 'v1', 'nodes', 'Node', false);
export const NAMESPACES = define<Namespace>('', 'v1', 'namespaces', 'Namespace', false);
export const EVENTS = define<Event>('', 'v1', 'events', 'Event');
export const CONFIGMAPS = define<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap');
export const SECRETS = define<Secret>('', 'v1', 'secrets', 'Secret');
export const SERVICEACCOUNTS = define<ServiceAccount>('', 'v1', 'serviceaccounts', 'ServiceAccount');
export const SERVICES = define<Service>('', 'v1', 'services', 'Service');
export const ENDPOINTS = define<Endpoints>('', 'v1', 'endpoints', 'Endpoints');
export const LEASES = define<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease');
export const ENDPOINTSLICES = define<EndpointSlice>('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice');

/** `v1` or `group/version`: the apiVersion of this resource's objects. */
export function apiVersionOf(resource: Resource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** An object as events name it. */
export function referenceTo(resource: Resource, { metadata }: KubeObject): ObjectReference {
  const { namespace, name, uid, resourceVersion } = metadata;
  return { kind: resource.kind, apiVersion: apiVersionOf(resource), namespace, name, uid, resourceVersion };
}

/** The URL path of a collection (no `name`), an object, or one of its subresources. */
export function pathOf(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const base = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const ns = resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const tail = name === undefined ? '' : `/${encodeURIComponent(name)}${subresource ? `/${subresource}` : ''}`;
  return `${base}${ns}/${resource.plural}${tail}`;
}
