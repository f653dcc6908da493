import { isDeepStrictEqual } from 'node:util';
import type { Service, ServiceSpec } from '../../../api/generated/types.ts';
import { serviceWarnings } from '../../../api/service-warnings.ts';
import type { Strategy } from '../resource-definition.ts';
import { needsClusterIP, needsHealthCheckPort, needsNodePort } from '../service-allocation.ts';

/** Source: pkg/registry/core/service/strategy.go and storage/storage.go */
export const serviceStrategy: Strategy = {
  prepareForCreate(object) {
    const service = object as Service;
    const spec = service.spec!;
    service.status = { loadBalancer: {} };
    // The older field alone is how most write it.
    if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  },

  warnings: (object) => serviceWarnings(object as Service),

  prepareForUpdate(object, old) {
    const [service, before] = [object as Service, old as Service];
    service.status = before.status ?? { loadBalancer: {} };
    keepAllocated(service.spec!, before.spec!);
    matchClusterIPs(service.spec!, before.spec!);
    dropWhatTypeLacks(service.spec!, before.spec!);
  },
};

/** Whoever writes his manifest a second time did not write what was allocated for him. */
function keepAllocated(spec: ServiceSpec, old: ServiceSpec): void {
  if (needsClusterIP(spec) && needsClusterIP(old)) {
    if (!spec.clusterIP && old.clusterIP) spec.clusterIP = old.clusterIP;
    if (!spec.clusterIPs?.length && old.clusterIPs) spec.clusterIPs = [...old.clusterIPs];
  }
  if (wantsNodePort(spec) && wantsNodePort(old)) {
    const used = new Set(spec.ports?.map(({ nodePort }) => nodePort));
    for (const port of spec.ports ?? []) {
      const nodePort = old.ports?.find(({ name = '' }) => name === (port.name ?? ''))?.nodePort;
      if (!port.nodePort && nodePort && !used.has(nodePort)) port.nodePort = nodePort;
    }
  }
  if (needsHealthCheckPort(spec) && needsHealthCheckPort(old)) {
    if (!spec.healthCheckNodePort && old.healthCheckNodePort) spec.healthCheckNodePort = old.healthCheckNodePort;
  }
}

/** Unlike what may have node ports, this leaves out load balancers that want none: theirs can be given back. */
function wantsNodePort(spec: ServiceSpec): boolean {
  return needsNodePort(spec) && (spec.type === 'NodePort' || spec.allocateLoadBalancerNodePorts !== false);
}

/** Who changes only the older field means both. */
function matchClusterIPs(spec: ServiceSpec, old: ServiceSpec): void {
  if (!spec.clusterIPs?.length && spec.clusterIP && !old.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP];
  if ((spec.clusterIP ?? '') === (old.clusterIP ?? '')) return;
  if (!isDeepStrictEqual(spec.clusterIPs ?? [], old.clusterIPs ?? [])) return;
  if (spec.clusterIP) spec.clusterIPs = [spec.clusterIP];
  else delete spec.clusterIPs;
}

/**
 * A Service is as its type says, and clients that change the type carry along what the old one had: what does not fit the new type
 * goes, unless it was changed as well (then validation refuses it).
 */
function dropWhatTypeLacks(spec: ServiceSpec, old: ServiceSpec): void {
  const drop = (field: keyof ServiceSpec): void => {
    if (isDeepStrictEqual(spec[field], old[field])) delete spec[field];
  };
  if (needsClusterIP(old) && !needsClusterIP(spec)) {
    if (isDeepStrictEqual(spec.clusterIPs, old.clusterIPs)) {
      delete spec.clusterIP;
      delete spec.clusterIPs;
    }
    drop('ipFamilies');
    drop('ipFamilyPolicy');
  }
  if (needsNodePort(old) && !needsNodePort(spec) && sameNodePorts(spec, old)) {
    for (const port of spec.ports ?? []) delete port.nodePort;
  }
  if (needsHealthCheckPort(old) && !needsHealthCheckPort(spec)) drop('healthCheckNodePort');
  if (old.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    drop('allocateLoadBalancerNodePorts');
    drop('loadBalancerClass');
  }
  if (isExternal(old) && !isExternal(spec)) drop('externalTrafficPolicy');
}

function sameNodePorts(spec: ServiceSpec, old: ServiceSpec): boolean {
  const before = new Set(old.ports?.map(({ nodePort }) => nodePort));
  return (spec.ports ?? []).every(({ nodePort }) => !nodePort || before.has(nodePort));
}

function isExternal(spec: ServiceSpec): boolean {
  return needsNodePort(spec) || (spec.type === 'ClusterIP' && Boolean(spec.externalIPs?.length));
}
