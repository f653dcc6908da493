import type {
  Container,
  EndpointSlice,
  Endpoints,
  Lifecycle,
  Namespace,
  Node,
  Pod,
  PodSpec,
  Probe,
  ResourceRequirements,
  Secret,
  Service,
  Volume,
} from './generated/types.ts';
import { setOwnValue } from './own-value.ts';
import { aggregateContainerResources } from './pod-resources.ts';
import { formatQuantity, parseQuantity, roundToMilli } from './quantity.ts';
import type { KubeObject, Resource } from './resources.ts';
import type { FieldSchema } from './schema-table.ts';
import { schemaOf, typeNameOf } from './type-names.ts';

/**
 * Fills in what the API server fills in on decoding: the schema's defaults and the older conditional ones of
 * `pkg/apis/core/v1/defaults.go`. What admission and the registries add (service account, tolerations, addresses, phases) is not
 * among them. Changes `object` and returns it. Doing it twice changes nothing.
 */
export function applyDefaults<T extends KubeObject>(resource: Resource<T>, object: T): T {
  conditionalDefaults[resource.kind]?.(object as never);
  const typeName = typeNameOf(resource);
  if (typeName) schemaDefaultsOf(typeName)?.(object as unknown as Fields);
  return object;
}

const conditionalDefaults: Readonly<Record<string, (object: never) => void>> = {
  Pod: defaultPod,
  Service: defaultService,
  Secret: defaultSecret,
  Namespace: defaultNamespace,
  Node: defaultNode,
  Endpoints: defaultEndpoints,
  EndpointSlice: defaultEndpointSlice,
};

// ---- defaults of the schema: one closure for each type, made when first needed; types without any have none

type Fields = Record<string, unknown>;
type Defaulter = (object: Fields) => void;

const defaulters = new Map<string, Defaulter | undefined>();

/** Undefined when nothing below this type has a default. Types that contain themselves have no defaults in their cycle. */
function schemaDefaultsOf(typeName: string): Defaulter | undefined {
  if (defaulters.has(typeName)) return defaulters.get(typeName);
  defaulters.set(typeName, undefined);
  const steps: Defaulter[] = [];
  for (const [name, schema] of Object.entries(schemaOf(typeName).fields ?? {})) {
    const step = defaulterOfField(name, schema);
    if (step) steps.push(step);
  }
  const defaulter: Defaulter | undefined =
    steps.length === 0
      ? undefined
      : (object) => {
          for (const step of steps) step(object);
        };
  defaulters.set(typeName, defaulter);
  return defaulter;
}

function defaulterOfField(name: string, schema: FieldSchema): Defaulter | undefined {
  const inner = defaulterOfValue(schema);
  const fallback = schema.default;
  // What is no plain value by reference is made anew each time.
  const make = typeof fallback === 'object' && fallback !== null ? () => structuredClone(fallback) : () => fallback;
  if (fallback === undefined && !inner) return undefined;
  return (object) => {
    if (fallback !== undefined) object[name] ??= make();
    const value = object[name];
    if (inner && typeof value === 'object' && value !== null) inner(value as Fields);
  };
}

function defaulterOfValue(schema: FieldSchema): Defaulter | undefined {
  if (schema.ref) return schemaDefaultsOf(schema.ref);
  const member = schema.items ?? schema.values;
  const inner = member && defaulterOfValue(member);
  if (!inner) return undefined;
  return (collection) => {
    for (const value of Array.isArray(collection) ? collection : Object.values(collection)) {
      if (typeof value === 'object' && value !== null) inner(value as Fields);
    }
  };
}

// ---- pods

function defaultPod(pod: Pod): void {
  pod.spec ??= {} as PodSpec;
  defaultPodSpec(pod.spec);
  const { spec } = pod;
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    requestsFromLimits(container.resources);
  }
  defaultPodResources(spec);
  spec.enableServiceLinks ??= true;
  if (spec.hostNetwork) {
    for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
      for (const port of container.ports ?? [])
        if (!port.hostPort && port.containerPort) port.hostPort = port.containerPort;
    }
  }
}

/** Defaults of a pod's spec wherever it stands, also in a template. */
export function defaultPodSpec(spec: PodSpec): void {
  spec.restartPolicy ||= 'Always';
  spec.dnsPolicy ||= 'ClusterFirst';
  spec.schedulerName ||= 'default-scheduler';
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= 30;
  // The old name of the field mirrors the new one.
  spec.serviceAccountName ||= spec.serviceAccount as string;
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName;
  else delete spec.serviceAccountName;
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.containers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container as Container);
  roundResources(spec.resources);
}

function defaultContainer(container: Container): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image ?? '');
  container.terminationMessagePath ||= '/dev/termination-log';
  container.terminationMessagePolicy ||= 'File';
  container.resources ??= {};
  roundResources(container.resources);
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe) defaultProbe(probe);
  }
  for (const variable of container.env ?? []) {
    if (variable.valueFrom?.fieldRef) variable.valueFrom.fieldRef.apiVersion ||= 'v1';
    if (variable.valueFrom?.resourceFieldRef) variable.valueFrom.resourceFieldRef.divisor ??= '0';
  }
  defaultLifecycle(container.lifecycle);
  for (const port of container.ports ?? []) port.protocol ||= 'TCP';
}

/** `Always` for `:latest` and for no tag, else `IfNotPresent`. */
export function defaultPullPolicy(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^:/]*)$/.exec(image)?.[1];
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultProbe(probe: Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  if (probe.httpGet) defaultHTTPGet(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= '';
}

function defaultLifecycle(lifecycle: Lifecycle | undefined): void {
  for (const handler of [lifecycle?.postStart, lifecycle?.preStop]) {
    if (handler?.httpGet) defaultHTTPGet(handler.httpGet);
  }
}

function defaultHTTPGet(action: NonNullable<Probe['httpGet']>): void {
  action.path ||= '/';
  action.scheme ||= 'HTTP';
}

const FILE_MODE = 0o644;

function defaultVolume(volume: Volume): void {
  const { name: _name, ...source } = volume;
  if (Object.values(source).every((value) => value === undefined)) volume.emptyDir = {};
  if (volume.hostPath) volume.hostPath.type ??= '';
  for (const files of [volume.secret, volume.configMap, volume.downwardAPI, volume.projected]) {
    if (files) files.defaultMode ??= FILE_MODE;
  }
  for (const item of volume.downwardAPI?.items ?? []) defaultDownwardItem(item);
  for (const projection of volume.projected?.sources ?? []) {
    for (const item of projection.downwardAPI?.items ?? []) defaultDownwardItem(item);
    if (projection.serviceAccountToken) projection.serviceAccountToken.expirationSeconds ??= 3600;
  }
}

function defaultDownwardItem(item: {
  fieldRef?: { apiVersion?: string };
  resourceFieldRef?: { divisor?: unknown };
}): void {
  if (item.fieldRef) item.fieldRef.apiVersion ||= 'v1';
  if (item.resourceFieldRef) item.resourceFieldRef.divisor ??= '0';
}

function requestsFromLimits(resources: ResourceRequirements | undefined): void {
  if (!resources?.limits) return;
  for (const [name, limit] of Object.entries(resources.limits)) {
    resources.requests ??= {};
    if (!Object.hasOwn(resources.requests, name)) setOwnValue(resources.requests, name, limit);
  }
}

/** Resource lists keep nothing finer than a thousandth. */
function roundResources(resources: ResourceRequirements | undefined): void {
  for (const list of [resources?.limits, resources?.requests]) {
    if (!list) continue;
    for (const [name, text] of Object.entries(list)) {
      if (/[nu]$/.test(String(text))) list[name] = formatQuantity(roundToMilli(parseQuantity(String(text))));
    }
  }
}

/** Pod-level requests: the containers' sum where a container asks, then the pod's own limit. */
function defaultPodResources(spec: PodSpec): void {
  const { resources } = spec;
  if (!resources?.limits && !resources?.requests) return;
  const requests = { ...resources.requests };
  for (const [name, sum] of Object.entries(aggregateContainerResources(spec, 'requests'))) {
    if (name === 'cpu' || name === 'memory' || name.startsWith('hugepages-')) requests[name] ??= formatQuantity(sum);
  }
  for (const [name, limit] of Object.entries(resources.limits ?? {})) {
    if (!Object.hasOwn(requests, name)) setOwnValue(requests, name, limit);
  }
  if (Object.keys(requests).length > 0) resources.requests = requests;
}

// ---- the rest

function defaultService(service: Service): void {
  service.spec ??= {};
  const { spec } = service;
  spec.sessionAffinity ||= 'None';
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'ClientIP') {
    spec.sessionAffinityConfig ??= {};
    spec.sessionAffinityConfig.clientIP ??= {};
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= 10800;
  }
  spec.type ||= 'ClusterIP';
  for (const port of spec.ports ?? []) {
    port.protocol ||= 'TCP';
    port.targetPort ||= port.port ?? 0;
  }
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  if (external || (spec.type === 'ClusterIP' && spec.externalIPs?.length)) spec.externalTrafficPolicy ||= 'Cluster';
  if (external || spec.type === 'ClusterIP') spec.internalTrafficPolicy ??= 'Cluster';
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
}

function defaultSecret(secret: Secret): void {
  secret.type ||= 'Opaque';
  // Write-only text beside the encoded data; it wins.
  for (const [key, text] of Object.entries(secret.stringData ?? {})) {
    secret.data ??= {};
    secret.data[key] = Buffer.from(text).toString('base64');
  }
  delete secret.stringData;
}

function defaultNamespace(namespace: Namespace): void {
  const { metadata } = namespace;
  if (metadata.name) {
    metadata.labels ??= {};
    metadata.labels['kubernetes.io/metadata.name'] ??= metadata.name;
  }
  namespace.status ??= {};
  namespace.status.phase ||= 'Active';
}

function defaultEndpoints(endpoints: Endpoints): void {
  for (const subset of endpoints.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP';
}

/** Source: pkg/apis/discovery/v1/defaults.go */
function defaultEndpointSlice(slice: EndpointSlice): void {
  for (const port of slice.ports ?? []) {
    port.name ??= '';
    port.protocol ??= 'TCP';
  }
}

function defaultNode(node: Node): void {
  const { status } = node;
  if (status?.capacity && !status.allocatable) status.allocatable = { ...status.capacity };
}
