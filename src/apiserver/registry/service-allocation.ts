import type { Service, ServicePort, ServiceSpec } from '../../api/generated/types.ts';
import { isPortNumber } from '../../api/name-rules.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import { duplicate, type FieldError, invalid, notSupported, required } from '../../api/validation/field-error.ts';
import { validateIP } from '../../api/validation/ip-address.ts';
import { type Cidr, formatCidr, formatIPv4, overlaps, parseIPv4 } from '../../lib/ipv4.ts';
import type { Random } from '../../lib/random.ts';

/** Where node ports come from: upstream's default. */
const NODE_PORTS = { first: 30_000, last: 32_767 };

/** The lower part of each range is given only to those who ask for it, as long as the rest lasts. */
const KEPT_NODE_PORTS = 86;
const KEPT_ADDRESSES = { least: 16, most: 256, part: 1 / 16 };

/** The Service types that get an address. */
export const needsClusterIP = ({ type }: ServiceSpec): boolean =>
  type === 'ClusterIP' || type === 'NodePort' || type === 'LoadBalancer';
export const needsNodePort = ({ type }: ServiceSpec): boolean => type === 'NodePort' || type === 'LoadBalancer';
export const needsHealthCheckPort = ({ type, externalTrafficPolicy }: ServiceSpec): boolean =>
  type === 'LoadBalancer' && externalTrafficPolicy === 'Local';

export interface AllocationHost {
  readonly random: Random;
  readonly portsInUse: () => ReadonlySet<number>;
}

/**
 * Gives a Service its IP family, addresses and node ports, or takes those that it asks for: what no other Service has. There is no list
 * of what is taken but the Services themselves, so that nothing can leak or be lost. Pure but for `host`; changes `service`, whose
 * `clusterIP` and `clusterIPs` agree. Rules and words: pkg/registry/core/service/storage/alloc.go
 * @param old the Service before the update
 * @param others all other Services
 * @param host what is asked of the machine: chance, and which ports programs have, that none of them is drawn as a node port
 * @returns what is wrong with what it asks for
 * @throws ApiStatusError 500 when a range is used up
 */
export function allocateService(
  service: Service,
  old: Service | undefined,
  others: Iterable<Service>,
  range: Cidr,
  host: AllocationHost,
): FieldError[] {
  const spec = service.spec!;
  const errors = spec.type === 'ExternalName' ? [] : completeFamilies(spec, old?.spec);
  if (errors.length > 0) return errors;
  const taken = takenBy(others);
  const addressErrors = allocateAddress(spec, old?.spec, taken.addresses, range, host.random);
  return addressErrors.length > 0 ? addressErrors : allocatePorts(spec, old?.spec, taken.ports, host);
}

/** The n-th address of a network; 0 is the network's own. */
export function nthAddress({ base }: Cidr, n: number): string {
  return formatIPv4(base + n);
}

// ---- families: IPv4 alone

function completeFamilies(spec: ServiceSpec, old: ServiceSpec | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const { clusterIPs = [] } = spec;
  const selectorless = Object.keys(spec.selector ?? {}).length === 0;
  const headlessWithoutSelector = spec.clusterIP === 'None' && selectorless;
  spec.ipFamilyPolicy ??= old?.ipFamilyPolicy ?? (headlessWithoutSelector ? 'RequireDualStack' : 'SingleStack');
  if (spec.clusterIP && clusterIPs.length === 0) errors.push(required('spec.clusterIPs'));
  else if ((spec.clusterIP ?? '') !== (clusterIPs[0] ?? '')) {
    const why = spec.clusterIP
      ? 'first value must match `clusterIP`'
      : 'must be empty when `clusterIP` is not specified';
    errors.push(invalid('spec.clusterIPs', clusterIPs, why));
  }
  const families = spec.ipFamilies ?? [];
  for (const [i, family] of families.entries()) {
    if (!FAMILIES.includes(family)) errors.push(notSupported(`spec.ipFamilies[${i}]`, family, FAMILIES));
    if (families.indexOf(family) < i) errors.push(duplicate(`spec.ipFamilies[${i}]`, family));
  }
  if (!POLICIES.includes(spec.ipFamilyPolicy)) {
    errors.push(notSupported('spec.ipFamilyPolicy', spec.ipFamilyPolicy, POLICIES));
  }
  validateClusterIPs(clusterIPs, old?.clusterIPs, errors);
  if (errors.length > 0) return errors;

  if (spec.ipFamilyPolicy === 'SingleStack') {
    const why = (what: string): string =>
      `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;
    if (clusterIPs.length > 1) errors.push(invalid('spec.ipFamilyPolicy', 'SingleStack', why('cluster IPs')));
    if (families.length > 1) errors.push(invalid('spec.ipFamilyPolicy', 'SingleStack', why('IP families')));
  }
  for (const [i, address] of clusterIPs.entries()) {
    if (address.includes(':') && i >= families.length) {
      errors.push(invalid(`spec.clusterIPs[${i}]`, clusterIPs, 'IPv6 is not configured on this cluster'));
    }
  }
  if (errors.length > 0) return errors;

  if (headlessWithoutSelector) {
    // Who lists endpoints by hand may list those of both families.
    const [first = 'IPv4'] = families;
    const both = spec.ipFamilyPolicy !== 'SingleStack';
    if (families.length < 2) spec.ipFamilies = both ? [first, first === 'IPv4' ? 'IPv6' : 'IPv4'] : [first];
    return [];
  }
  if (spec.ipFamilyPolicy === 'RequireDualStack') {
    const why = 'this cluster is not configured for dual-stack services';
    errors.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, why));
  }
  for (const [i, family] of families.entries()) {
    if (family !== 'IPv4') errors.push(invalid(`spec.ipFamilies[${i}]`, family, 'not configured on this cluster'));
  }
  if (families.length === 0) spec.ipFamilies = ['IPv4'];
  return errors;
}

/** What holds for the addresses whatever the cluster can give. */
function validateClusterIPs(clusterIPs: string[], old: string[] | undefined, errors: FieldError[]): void {
  let allValid = true;
  for (const [i, address] of clusterIPs.entries()) {
    if (i > 0 || address !== 'None') {
      allValid = validateIP(address, `spec.clusterIPs[${i}]`, errors, old) && allValid;
    } else if (clusterIPs.length > 1) {
      errors.push(invalid('spec.clusterIPs', clusterIPs, "'None' must be the first and only value"));
      allValid = false;
    }
  }
  if (clusterIPs.length > 2) errors.push(invalid('spec.clusterIPs', clusterIPs, 'may only hold up to 2 values'));
  const inSix = clusterIPs.filter((address) => address.includes(':')).length;
  if (allValid && clusterIPs.length > 1 && !(clusterIPs.length === 2 && inSix === 1)) {
    errors.push(invalid('spec.clusterIPs', clusterIPs, 'may specify no more than one IP for each IP family'));
  }
}

const POLICIES = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
const FAMILIES = ['IPv4', 'IPv6'];

// ---- what is taken

interface Taken {
  readonly addresses: ReadonlySet<string>;
  readonly ports: ReadonlySet<number>;
}

function takenBy(services: Iterable<Service>): Taken {
  const addresses = new Set<string>();
  const ports = new Set<number>();
  for (const { spec = {} } of services) {
    for (const address of spec.clusterIPs ?? []) addresses.add(address);
    for (const { nodePort } of spec.ports ?? []) if (nodePort) ports.add(nodePort);
    if (spec.healthCheckNodePort) ports.add(spec.healthCheckNodePort);
  }
  return { addresses, ports };
}

// ---- addresses

function allocateAddress(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  taken: ReadonlySet<string>,
  range: Cidr,
  random: Random,
): FieldError[] {
  // An address once given does not change; validation sees to it.
  const keeps = old !== undefined && old.type !== 'ExternalName';
  if (!needsClusterIP(spec) || spec.clusterIP === 'None' || keeps) return [];
  const wanted = spec.clusterIPs?.[0];
  if (!wanted) {
    const address = freeAddress(taken, range, random);
    spec.clusterIP = address;
    spec.clusterIPs = [address];
    return [];
  }
  const why = whyNotAddress(wanted, taken, range);
  return why === undefined
    ? []
    : [invalid('spec.clusterIPs', spec.clusterIPs, `failed to allocate IP ${wanted}: ${why}`)];
}

function whyNotAddress(wanted: string, taken: ReadonlySet<string>, range: Cidr): string | undefined {
  const address = parseIPv4(wanted);
  // What is no address is for validation to say.
  if (address === undefined) return undefined;
  if (!overlaps({ base: address, length: 32 }, range)) return 'the provided network does not match the current range';
  const last = range.base + sizeOf(range) - 1;
  if (address === range.base || address === last) {
    return `the provided IP (${wanted}) is not in the valid range. The range of valid IPs is ${formatCidr(range)}`;
  }
  return taken.has(wanted) ? 'provided IP is already allocated' : undefined;
}

function freeAddress(taken: ReadonlySet<string>, range: Cidr, random: Random): string {
  const size = sizeOf(range);
  const { least, most, part } = KEPT_ADDRESSES;
  const kept = Math.min(Math.max(least, Math.floor(size * part)), most);
  // Neither the network's address nor the broadcast address; the first is the API server's.
  const found = pick(2, size - 2, kept, (n) => !taken.has(nthAddress(range, n)), random);
  if (found === undefined) throw usedUp('failed to allocate a serviceIP: range is full');
  return nthAddress(range, found);
}

function sizeOf({ length }: Cidr): number {
  return 2 ** (32 - length);
}

// ---- node ports

function allocatePorts(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  taken: ReadonlySet<number>,
  { random, portsInUse }: AllocationHost,
): FieldError[] {
  const errors: FieldError[] = [];
  const own = new Set([...(old?.ports ?? []).map(({ nodePort }) => nodePort), old?.healthCheckNodePort]);
  const mine = new Set<number>();
  const take = (): number => {
    const { first, last } = NODE_PORTS;
    const foreign = portsInUse();
    const isFree = (port: number): boolean => !taken.has(port) && !mine.has(port) && !foreign.has(port);
    const found = pick(first, last, KEPT_NODE_PORTS, isFree, random);
    if (found === undefined) throw usedUp('failed to allocate a nodePort: range is full');
    mine.add(found);
    return found;
  };
  const ports = spec.ports ?? [];
  if (needsNodePort(spec)) {
    for (const [i, { nodePort }] of ports.entries()) {
      if (!nodePort) continue;
      const why = own.has(nodePort) ? undefined : whyNotPort(nodePort, taken);
      if (why !== undefined) errors.push(invalid(`spec.ports[${i}].nodePort`, nodePort, why));
      mine.add(nodePort);
    }
    if (errors.length > 0) return errors.slice(0, 1);
    if (spec.type === 'NodePort' || spec.allocateLoadBalancerNodePorts !== false) {
      for (const port of ports) port.nodePort ||= sharedNodePort(port, ports) ?? take();
    }
  }
  if (!needsHealthCheckPort(spec)) return [];
  const wanted = spec.healthCheckNodePort;
  if (!wanted) spec.healthCheckNodePort = take();
  // Validation refuses to change one that was given, and what is no port.
  else if ((!old || !needsHealthCheckPort(old)) && isPortNumber(wanted).length === 0) {
    const why = mine.has(wanted) ? 'provided port is already allocated' : whyNotPort(wanted, taken);
    if (why !== undefined) throw usedUp(`failed to allocate requested HealthCheck NodePort ${wanted}: ${why}`);
  }
  return [];
}

function whyNotPort(port: number, taken: ReadonlySet<number>): string | undefined {
  const { first, last } = NODE_PORTS;
  if (port < first || port > last) {
    return `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
  }
  return taken.has(port) ? 'provided port is already allocated' : undefined;
}

/** One port over two protocols has one node port. */
function sharedNodePort({ port, protocol }: ServicePort, ports: readonly ServicePort[]): number | undefined {
  const same = ports.filter((other) => other.port === port && other.nodePort);
  return same.some((other) => other.protocol === protocol) ? undefined : same[0]?.nodePort;
}

/**
 * A free number from `first` to `last`: searched from a random place on above the first `kept`, then among those.
 */
function pick(
  first: number,
  last: number,
  kept: number,
  isFree: (n: number) => boolean,
  random: Random,
): number | undefined {
  const middle = Math.min(first + kept, last + 1);
  for (const [from, to] of [
    [middle, last],
    [first, middle - 1],
  ] as const) {
    const count = to - from + 1;
    const start = Math.floor(random.float() * count);
    for (let i = 0; i < count; i++) {
      const n = from + ((start + i) % count);
      if (isFree(n)) return n;
    }
  }
  return undefined;
}

function usedUp(message: string): ApiStatusError {
  return new ApiStatusError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}
