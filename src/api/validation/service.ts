import type { Service, ServicePort, ServiceSpec } from '../generated/types.ts';
import { isDNS1123Label, isDNS1123Subdomain, isPortNumber, isQualifiedName } from '../name-rules.ts';
import { requireOneOf, validatePortNumberOrName } from './container.ts';
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from './field-error.ts';
import { validateCIDR, validateExternalIP, validateIP } from './ip-address.ts';
import { FIELD_IS_IMMUTABLE, nameIsLabel, pushInvalid, validateLabels, validateObjectMeta } from './object-meta.ts';

/** Rules for Services, without those that need to know which addresses and ports are taken: ValidateService upstream. */

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];
const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const POLICIES = ['Cluster', 'Local'];
const DISTRIBUTIONS = ['PreferClose', 'PreferSameZone', 'PreferSameNode'];
const DAY_SECONDS = 86400;

/**
 * The Service's addresses, whether written in `clusterIP`, in `clusterIPs`, or in both. A client that knows only the old field
 * writes only that; it wins over a list that was carried along unchanged.
 */
export function clusterIPsOf(service: Service, old?: Service): string[] {
  const { clusterIP, clusterIPs = [] } = service.spec ?? {};
  if (!clusterIP) return old?.spec?.clusterIP && clusterIPs[0] === old.spec.clusterIP ? [] : clusterIPs;
  const carriedAlong = old !== undefined && clusterIPs[0] === old.spec?.clusterIP && clusterIPs[0] !== clusterIP;
  return clusterIPs.length === 0 || carriedAlong ? [clusterIP] : clusterIPs;
}

export function validateService(service: Service, errors: FieldError[], old?: Service): void {
  validateObjectMeta(service.metadata, true, nameIsLabel, 'metadata', errors);
  const spec = service.spec ?? {};
  const ips = clusterIPsOf(service, old);
  const headless = ips.length === 1 && ips[0] === 'None';
  const ports = spec.ports ?? [];
  if (ports.length === 0 && !headless && spec.type !== 'ExternalName') errors.push(required('spec.ports'));
  if (headless && (spec.type === 'LoadBalancer' || spec.type === 'NodePort')) {
    errors.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`));
  }
  if (spec.type === 'ExternalName') {
    const unused = {
      clusterIPs: ips.length > 0,
      ipFamilies: spec.ipFamilies?.length,
      ipFamilyPolicy: spec.ipFamilyPolicy,
    };
    for (const [field, present] of Object.entries(unused)) {
      if (present) errors.push(forbidden(`spec.${field}`, 'may not be set for ExternalName services'));
    }
    const name = (spec.externalName ?? '').replace(/\.$/, '');
    if (name === '') errors.push(required('spec.externalName'));
    else pushInvalid(errors, 'spec.externalName', name, isDNS1123Subdomain(name));
  }
  const names = new Set<string>();
  for (const [i, port] of ports.entries()) validatePort(port, ports.length > 1, names, `spec.ports[${i}]`, errors);
  if (spec.selector) validateLabels(spec.selector, 'spec.selector', errors);
  validateAffinity(service, errors);
  for (const [i, ip] of ips.entries()) {
    if (i === 0 && ip === 'None') {
      if (ips.length > 1) errors.push(invalid('spec.clusterIPs', ips, "'None' must be the first and only value"));
    } else {
      validateIP(ip, `spec.clusterIPs[${i}]`, errors, old?.spec?.clusterIPs);
    }
  }
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) {
    const path = `spec.externalIPs[${i}]`;
    if (validateIP(ip, path, errors, old?.spec?.externalIPs)) validateExternalIP(ip, path, errors);
  }
  requireOneOf(spec.type, TYPES, 'spec.type', errors);
  validateNodePorts(ports, spec.type, errors);
  validateUniquePorts(ports, errors);
  validateSourceRanges(service, old, errors);
  if (spec.allocateLoadBalancerNodePorts !== undefined && spec.type !== 'LoadBalancer') {
    errors.push(forbidden('spec.allocateLoadBalancerNodePorts', "may only be used when `type` is 'LoadBalancer'"));
  }
  validateLoadBalancerClass(service, errors);
  validateTrafficPolicies(service, errors);
  const distribution = spec.trafficDistribution;
  if (distribution !== undefined && !DISTRIBUTIONS.includes(distribution)) {
    errors.push(notSupported('spec.trafficDistribution', distribution, DISTRIBUTIONS));
  }
}

function validateLoadBalancerClass({ spec = {} }: Service, errors: FieldError[]): void {
  const { loadBalancerClass, type } = spec;
  if (loadBalancerClass === undefined) return;
  const path = 'spec.loadBalancerClass';
  if (type === 'LoadBalancer') pushInvalid(errors, path, loadBalancerClass, isQualifiedName(loadBalancerClass));
  else errors.push(forbidden(path, "may only be used when `type` is 'LoadBalancer'"));
}

function validatePort(
  port: ServicePort,
  nameRequired: boolean,
  names: Set<string>,
  path: string,
  errors: FieldError[],
): void {
  if (port.name) {
    pushInvalid(errors, `${path}.name`, port.name, isDNS1123Label(port.name));
    if (names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name));
    names.add(port.name);
  } else if (nameRequired) {
    errors.push(required(`${path}.name`));
  }
  pushInvalid(errors, `${path}.port`, port.port, isPortNumber(port.port));
  requireOneOf(port.protocol, PROTOCOLS, `${path}.protocol`, errors);
  validatePortNumberOrName(port.targetPort, `${path}.targetPort`, errors);
  if (port.appProtocol !== undefined) {
    pushInvalid(errors, `${path}.appProtocol`, port.appProtocol, isQualifiedName(port.appProtocol));
  }
}

function validateAffinity({ spec = {} }: Service, errors: FieldError[]): void {
  requireOneOf(spec.sessionAffinity, ['ClientIP', 'None'], 'spec.sessionAffinity', errors);
  const config = spec.sessionAffinityConfig;
  if (spec.sessionAffinity === 'None' && config) {
    errors.push(forbidden('spec.sessionAffinityConfig', 'must not be set when session affinity is None'));
  }
  if (spec.sessionAffinity !== 'ClientIP') return;
  const why = 'when session affinity type is ClientIP';
  const seconds = config?.clientIP?.timeoutSeconds;
  if (!config) errors.push(required('spec.sessionAffinityConfig', why));
  else if (!config.clientIP) errors.push(required('spec.sessionAffinityConfig.clientIP', why));
  else if (seconds === undefined) errors.push(required('spec.sessionAffinityConfig.clientIP.timeoutSeconds', why));
  else if (seconds <= 0 || seconds > DAY_SECONDS) {
    errors.push(
      invalid(
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
        seconds,
        `must be greater than 0 and less than ${DAY_SECONDS}`,
      ),
    );
  }
}

function validateNodePorts(ports: readonly ServicePort[], type: string | undefined, errors: FieldError[]): void {
  const taken = new Set<string>();
  for (const [i, { nodePort, protocol }] of ports.entries()) {
    if (!nodePort) continue;
    if (type === 'ClusterIP') {
      errors.push(forbidden(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
    }
    const id = `${protocol}/${nodePort}`;
    if (taken.has(id)) errors.push(duplicate(`spec.ports[${i}].nodePort`, nodePort));
    taken.add(id);
  }
}

function validateUniquePorts(ports: readonly ServicePort[], errors: FieldError[]): void {
  const taken = new Set<string>();
  for (const [i, { port, protocol }] of ports.entries()) {
    const id = `${protocol}/${port}`;
    if (taken.has(id)) {
      // As Go writes a port of which only these two are set.
      const shown = { Name: '', Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
      errors.push(duplicate(`spec.ports[${i}]`, shown));
    }
    taken.add(id);
  }
}

const SOURCE_RANGES_ANNOTATION = 'service.beta.kubernetes.io/load-balancer-source-ranges';

/** Who may use a load balancer, in the field or else in the older annotation, which only other load balancers read. */
function validateSourceRanges({ metadata, spec = {} }: Service, old: Service | undefined, errors: FieldError[]): void {
  const trimmed = (service?: Service): string[] =>
    (service?.spec?.loadBalancerSourceRanges ?? []).map((range) => range.trim());
  const ranges = trimmed({ metadata, spec });
  const annotation = metadata.annotations?.[SOURCE_RANGES_ANNOTATION];
  if (ranges.length === 0 && annotation === undefined) return;
  const path =
    ranges.length > 0 ? 'spec.LoadBalancerSourceRanges' : `metadata.annotations[${SOURCE_RANGES_ANNOTATION}]`;
  if (spec.type !== 'LoadBalancer') {
    errors.push(forbidden(path, "may only be used when `type` is 'LoadBalancer'"));
  }
  for (const [i, range] of ranges.entries()) validateCIDR(range, `${path}[${i}]`, errors, trimmed(old));
  if (ranges.length > 0 || !annotation?.trim()) return;
  if (old?.metadata.annotations?.[SOURCE_RANGES_ANNOTATION] === annotation) return;
  for (const range of annotation.split(',')) validateCIDR(range.trim(), path, errors);
}

function validateTrafficPolicies({ spec = {} }: Service, errors: FieldError[]): void {
  const external = spec.externalTrafficPolicy;
  const reachable =
    spec.type === 'NodePort' ||
    spec.type === 'LoadBalancer' ||
    (spec.type === 'ClusterIP' && Boolean(spec.externalIPs?.length));
  if (!reachable) {
    if (external) {
      errors.push(
        invalid('spec.externalTrafficPolicy', external, 'may only be set for externally-accessible services'),
      );
    }
  } else {
    requireOneOf(external, POLICIES, 'spec.externalTrafficPolicy', errors);
  }
  const { healthCheckNodePort } = spec;
  if (healthCheckNodePort) {
    const path = 'spec.healthCheckNodePort';
    if (hasHealthCheck(spec)) pushInvalid(errors, path, healthCheckNodePort, isPortNumber(healthCheckNodePort));
    else {
      const why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
      errors.push(invalid(path, healthCheckNodePort, why));
    }
  }
  const internal = spec.internalTrafficPolicy;
  if (internal !== undefined && !POLICIES.includes(internal)) {
    errors.push(notSupported('spec.internalTrafficPolicy', internal, POLICIES));
  }
}

/** Whether other load balancers ask this node if it has endpoints. */
function hasHealthCheck({ type, externalTrafficPolicy }: ServiceSpec): boolean {
  return type === 'LoadBalancer' && externalTrafficPolicy === 'Local';
}

/** What may not change. */
export function validateServiceChange(service: Service, old: Service, errors: FieldError[]): void {
  validateAddressChange(service, old, errors);
  const [after, before] = [service.spec ?? {}, old.spec ?? {}];
  if (after.type === 'LoadBalancer' && before.type === 'LoadBalancer') {
    if (after.loadBalancerClass !== before.loadBalancerClass) {
      errors.push(invalid('spec.loadBalancerClass', after.loadBalancerClass, 'may not change once set'));
    }
    validateLoadBalancerClass(service, errors);
  }
  if (hasHealthCheck(after) && hasHealthCheck(before) && after.healthCheckNodePort !== before.healthCheckNodePort) {
    errors.push(forbidden('spec.healthCheckNodePort', FIELD_IS_IMMUTABLE));
  }
}

/** Addresses once given stay, unless the type changes from or to ExternalName. */
function validateAddressChange(service: Service, old: Service, errors: FieldError[]): void {
  if (service.spec?.type === 'ExternalName' || old.spec?.type === 'ExternalName') return;
  const before = clusterIPsOf(old);
  const after = clusterIPsOf(service, old);
  if (before.length === 0 || before[0] === after[0]) return;
  errors.push(
    after.length === 0
      ? invalid('spec.clusterIPs[0]', after, 'primary clusterIP can not be unset')
      : invalid('spec.clusterIPs[0]', after, 'may not change once set'),
  );
}
