import { isIPv4, isIPv6 } from 'node:net';
import type { Endpoint, EndpointSlice, Service } from '../api/generated/types.ts';
import { type ClusterState, clusterIPs, serviceOf } from './cluster-state.ts';
import { labelsOf, type Question, type ResourceRecord, TYPE } from './message.ts';
import { addressRecord, cnameRecord, nsRecord, ptrRecord, soaRecord, srvRecord, txtRecord } from './records.ts';

/** The cluster's own part of the name space. */
export interface ClusterZone {
  /** Such as `cluster.local`; lower case, no dot at the end. */
  readonly domain: string;
  /** Where we answer. */
  readonly serverAddress: string;
}

/** What the cluster knows of a question. */
export type LookUp =
  | {
      readonly kind: 'records';
      readonly answers: readonly ResourceRecord[];
      readonly additionals: readonly ResourceRecord[];
    }
  /** The name is another name for `target`, which is to be asked for in its place. */
  | { readonly kind: 'alias'; readonly alias: ResourceRecord; readonly target: string }
  /** The name exists, but has no records of this type. */
  | { readonly kind: 'no-data' }
  | { readonly kind: 'no-such-name' }
  /** A name that others answer for. */
  | { readonly kind: 'not-ours' };

/** Of every record, seconds. Short, since readiness shows in the records of headless Services. */
const TTL = 5;
/** Version of the specification that the names follow. */
const SCHEMA_VERSION = '1.1.0';

const NO_DATA: LookUp = { kind: 'no-data' };
const NO_SUCH_NAME: LookUp = { kind: 'no-such-name' };
const NOT_OURS: LookUp = { kind: 'not-ours' };

/**
 * Answers a question from what the cluster has, by the specification "Kubernetes DNS-Based Service Discovery" (kubernetes/dns,
 * docs/specification.md). Pure. Where it leaves a choice, as CoreDNS: endpoints without a host name are called after their address
 * (`10-88-0-7`), an address that is nobody's here is left to others, and SRV for a Service's or an endpoint's own name is all its ports.
 */
export function lookUp(question: Question, zone: ClusterZone, state: ClusterState): LookUp {
  const name = question.name.toLowerCase();
  const { type } = question;
  const labels = labelsOf(name);
  if (labels.at(-1) === 'arpa') return reverseLookUp(name, labels, type, zone, state);
  const zoneLabels = labelsOf(zone.domain);
  const relative = labels.slice(0, -zoneLabels.length);
  if (labels.slice(relative.length).join('.') !== zone.domain) return NOT_OURS;
  switch (relative.at(-1)) {
    case undefined:
      return ofType(type, [zoneSoa(zone), nsRecord(name, TTL, serverName(zone))], [serverRecord(zone)]);
    case 'svc':
      return serviceLookUp(name, type, relative.slice(0, -1), zone, state);
    case 'pod':
      return podLookUp(name, type, relative.slice(0, -1), state);
    case 'dns-version':
      return relative.length === 1 ? ofType(type, [txtRecord(name, TTL, SCHEMA_VERSION)]) : NO_SUCH_NAME;
    case 'dns':
      if (relative.length === 1) return NO_DATA;
      return name === serverName(zone) ? ofType(type, [serverRecord(zone)]) : NO_SUCH_NAME;
    default:
      return NO_SUCH_NAME;
  }
}

/** What goes with every "no" of the zone, so that it is remembered for a while (RFC 2308). */
export function zoneSoa(zone: ClusterZone): ResourceRecord {
  return soaRecord(zone.domain, TTL, serverName(zone));
}

const serverName = ({ domain }: ClusterZone): string => `ns.dns.${domain}`;
const serverRecord = (zone: ClusterZone): ResourceRecord => addressRecord(serverName(zone), TTL, zone.serverAddress);

/** @param labels what stands before `svc`: nothing, NS, SVC.NS, HOST.SVC.NS, _PROTO.SVC.NS or _PORT._PROTO.SVC.NS */
function serviceLookUp(
  name: string,
  type: number,
  labels: readonly string[],
  zone: ClusterZone,
  state: ClusterState,
): LookUp {
  const [namespace, serviceName, ...inner] = labels.toReversed();
  if (namespace === undefined) return NO_DATA;
  if (serviceName === undefined) return state.hasNamespace(namespace) ? NO_DATA : NO_SUCH_NAME;
  const service = state.service(namespace, serviceName);
  if (!service || inner.length > 2) return NO_SUCH_NAME;
  const { spec } = service;
  if (spec?.type === 'ExternalName') {
    const target = (spec.externalName ?? '').replace(/\.$/, '');
    if (inner.length > 0 || target === '') return NO_SUCH_NAME;
    return { kind: 'alias', alias: cnameRecord(name, TTL, target), target };
  }
  const slices = state.slicesOf(namespace, serviceName);
  const [first, second] = inner;
  const serviceDomain = `${serviceName}.${namespace}.svc.${zone.domain}`;
  const targets = (): Target[] =>
    isHeadless(service) ? endpointTargets(slices, serviceDomain) : serviceTargets(service, serviceDomain);
  if (first === undefined) {
    const addresses = isHeadless(service) ? readyEndpoints(slices).flatMap((e) => e.addresses) : clusterIPs(service);
    // Without a ready endpoint a headless Service has no name: the specification, section 2.4.1.
    if (isHeadless(service) && addresses.length === 0) return NO_SUCH_NAME;
    return type === TYPE.SRV ? srvAnswer(name, type, targets()) : ofType(type, addressRecords(name, addresses));
  }
  if (second !== undefined) {
    const found = targets().filter(
      ({ port, protocol }) => port !== '' && second === `_${port}` && first === `_${protocol}`,
    );
    return found.length === 0 ? NO_SUCH_NAME : srvAnswer(name, type, found);
  }
  if (first.startsWith('_')) return targets().some(({ protocol }) => first === `_${protocol}`) ? NO_DATA : NO_SUCH_NAME;
  const named = readyEndpoints(slices).filter((endpoint) => hostnameOf(endpoint) === first);
  const addresses = named.flatMap((endpoint) => endpoint.addresses);
  if (addresses.length === 0) return NO_SUCH_NAME;
  if (type !== TYPE.SRV) return ofType(type, addressRecords(name, addresses));
  const own = endpointTargets(slices, serviceDomain).filter(({ target }) => target === `${first}.${serviceDomain}`);
  return srvAnswer(name, type, own);
}

function srvAnswer(name: string, type: number, targets: readonly Target[]): LookUp {
  const weight = Math.max(1, Math.floor(100 / targets.length));
  return ofType(
    type,
    targets.map(({ number, target }) => srvRecord(name, TTL, { priority: 0, weight, port: number, target })),
    targets.flatMap(({ target, addresses }) => addressRecords(target, addresses)),
  );
}

/** What an SRV record leads to. */
interface Target {
  /** The port's name; '' when it has none: then only the Service's or the endpoint's own name leads to it. */
  readonly port: string;
  /** In lower case. */
  readonly protocol: string;
  readonly number: number;
  readonly target: string;
  readonly addresses: readonly string[];
}

function serviceTargets(service: Service, target: string): Target[] {
  return (service.spec?.ports ?? []).map(({ name = '', protocol = 'TCP', port }) => ({
    ...{ port: name, protocol: protocol.toLowerCase() },
    ...{ number: port, target, addresses: clusterIPs(service) },
  }));
}

function endpointTargets(slices: readonly EndpointSlice[], serviceDomain: string): Target[] {
  return slices.flatMap((slice) =>
    (slice.ports ?? [])
      .filter(({ port }) => port !== undefined)
      .flatMap(({ name = '', protocol = 'TCP', port = 0 }) =>
        readyEndpoints([slice]).map((endpoint) => ({
          ...{ port: name, protocol: protocol.toLowerCase(), number: port },
          ...{ target: `${hostnameOf(endpoint)}.${serviceDomain}`, addresses: endpoint.addresses },
        })),
      ),
  );
}

/** @param labels what stands before `pod`: nothing, NS, or 10-88-0-7.NS */
function podLookUp(name: string, type: number, labels: readonly string[], state: ClusterState): LookUp {
  const [namespace, dashed, ...inner] = labels.toReversed();
  if (namespace === undefined) return NO_DATA;
  if (dashed === undefined) return state.hasNamespace(namespace) ? NO_DATA : NO_SUCH_NAME;
  const address = [dashed.replaceAll('-', '.'), dashed.replaceAll('-', ':')].find((ip) => isIPv4(ip) || isIPv6(ip));
  if (address === undefined || inner.length > 0 || !state.hasPodAt(namespace, address)) return NO_SUCH_NAME;
  return ofType(type, addressRecords(name, [address]));
}

/** The name behind an IPv4 address: of a Service, or of a headless Service's endpoint. */
function reverseLookUp(
  name: string,
  labels: readonly string[],
  type: number,
  zone: ClusterZone,
  state: ClusterState,
): LookUp {
  const address = labels.slice(0, -2).toReversed().join('.');
  if (labels.at(-2) !== 'in-addr' || !isIPv4(address)) return NOT_OURS;
  const service = state.serviceAt(address);
  const targets = service
    ? [serviceDomainOf(service.metadata, zone)]
    : state.slicesAt(address).flatMap((slice) => endpointNames(slice, address, zone, state));
  return targets.length === 0
    ? NOT_OURS
    : ofType(
        type,
        targets.map((target) => ptrRecord(name, TTL, target)),
      );
}

function endpointNames(slice: EndpointSlice, address: string, zone: ClusterZone, state: ClusterState): string[] {
  const { namespace = '' } = slice.metadata;
  const service = state.service(namespace, serviceOf(slice));
  if (!service || !isHeadless(service)) return [];
  return readyEndpoints([slice])
    .filter(({ addresses }) => addresses.includes(address))
    .map((endpoint) => `${hostnameOf(endpoint)}.${serviceDomainOf(service.metadata, zone)}`);
}

function serviceDomainOf({ name, namespace }: Service['metadata'], { domain }: ClusterZone): string {
  return `${name}.${namespace}.svc.${domain}`;
}

function isHeadless({ spec }: Service): boolean {
  return spec?.type !== 'ExternalName' && spec?.clusterIP === 'None';
}

/** Each of its addresses once. `ready` counts as true when it is not said; publishNotReadyAddresses is in it already. */
function readyEndpoints(slices: readonly EndpointSlice[]): Endpoint[] {
  const seen = new Set<string>();
  return slices
    .filter(({ addressType }) => addressType !== 'FQDN')
    .flatMap(({ endpoints }) => endpoints ?? [])
    .filter(({ addresses, conditions }) => {
      const isNew = !seen.has(addresses[0]!);
      if (conditions?.ready === false || !isNew) return false;
      seen.add(addresses[0]!);
      return true;
    });
}

/** The first label of an endpoint's own name. */
function hostnameOf({ hostname, addresses }: Endpoint): string {
  return hostname ?? addresses[0]!.replace(/[.:]/g, '-');
}

function addressRecords(name: string, addresses: readonly string[]): ResourceRecord[] {
  return addresses.map((address) => addressRecord(name, TTL, address));
}

/** Of a name that exists and has these records. */
function ofType(type: number, records: readonly ResourceRecord[], additionals: readonly ResourceRecord[] = []): LookUp {
  const answers = records.filter((record) => type === TYPE.ANY || record.type === type);
  return answers.length === 0 ? NO_DATA : { kind: 'records', answers, additionals };
}
