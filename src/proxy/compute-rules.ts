import { createHash } from 'node:crypto';
import type { DiscoveryV1EndpointPort, Endpoint, EndpointSlice, Service, ServicePort } from '../api/generated/types.ts';
import { type Cidr, cidr, formatCidr, overlaps, parseCidr, parseIPv4 } from '../lib/ipv4.ts';

/** What the rules have to know of the node. */
export interface ProxyNode {
  readonly nodeName: string;
  /** Endpoints outside of it answer past this host, unless the packets that they get come from it. */
  readonly podCIDR: string;
}

export type Protocol = 'tcp' | 'udp' | 'sctp';

/**
 * Something that a Service is reached at, as an nft key: `10.96.0.1 . tcp . 80`, or for a node port `tcp . 30080`. Only one
 * Service can have it.
 */
export type FrontendKey = string;

export interface Frontend {
  readonly protocol: Protocol;
  /**
   * Where its connections go: `10.88.0.5 . 8080`. The place in the list is the number that is drawn at random, and nothing else.
   * None: connections are refused.
   */
  readonly endpoints: readonly string[];
  /** The chain that keeps a client at its endpoint, for `sessionAffinity: ClientIP`. */
  readonly stickyChain: string | undefined;
}

/** All that one Service wants of the kernel. */
export interface ServiceRules {
  readonly frontends: ReadonlyMap<FrontendKey, Frontend>;
  /** No port of these that is not a frontend leads anywhere. */
  readonly clusterIPs: readonly string[];
  /** `10.1.2.3 . tcp . 80`: endpoints elsewhere, which see this host as their client. Others may want the same. */
  readonly distant: readonly string[];
  /** `192.0.2.1 . tcp . 80` of load balancers that are for some clients only, and `192.0.2.1 . tcp . 80 . 10.0.0.0/8` for whom. */
  readonly guarded: readonly string[];
  readonly allowed: readonly string[];
  /** Of sticky chains: their rules, and the clients of each endpoint. The names are this Service's own, and tell the content of sets. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  readonly sets: ReadonlyMap<string, string>;
}

/** Another proxy looks after Services with this label (kube-proxy `apis/well_known_labels.go`). */
const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name';
const DEFAULT_STICKY_SECONDS = 10_800;

interface Backend {
  /** `10.88.0.5 . 8080` */
  readonly target: string;
  readonly address: string;
  readonly isReady: boolean;
  /** The last resort: it answers, although it is about to end. */
  readonly isServingTerminating: boolean;
  readonly isLocal: boolean;
}

/**
 * What a Service wants of the kernel. Which endpoints get traffic follows kube-proxy's `proxy/topology.go`: those that are ready; if
 * none is, those that still serve while they terminate. A policy Local leaves those of this node. Pure.
 * @param slices of this Service
 * @param previous what it wanted before: endpoints that stay keep their numbers, so that less changes
 */
export function computeServiceRules(
  service: Service,
  slices: readonly EndpointSlice[],
  node: ProxyNode,
  previous?: ServiceRules,
): ServiceRules {
  const frontends = new Map<FrontendKey, Frontend>();
  const distant = new Set<string>();
  const guarded: string[] = [];
  const allowed: string[] = [];
  const chains = new Map<string, readonly string[]>();
  const sets = new Map<string, string>();
  const clusterIPs = clusterIPsOf(service);
  const { spec } = service;
  if (isProxied(service)) {
    for (const port of spec.ports ?? []) {
      const protocol = (port.protocol ?? 'TCP').toLowerCase() as Protocol;
      const backends = backendsOf(port, slices, node);
      const inside = clusterIPs.map((ip) => `${ip} . ${protocol} . ${port.port}`);
      const outside = outsideAddresses(service).map((ip) => `${ip} . ${protocol} . ${port.port}`);
      if (spec.loadBalancerSourceRanges?.length) {
        const ranges = sourceRanges(service);
        const keys = balancerAddresses(service).map((ip) => `${ip} . ${protocol} . ${port.port}`);
        guarded.push(...keys);
        for (const key of keys) allowed.push(...ranges.map((range) => `${key} . ${range}`));
      }
      if (port.nodePort) outside.push(`${protocol} . ${port.nodePort}`);
      const halves = [
        { keys: inside, onlyLocal: spec.internalTrafficPolicy === 'Local' },
        { keys: outside, onlyLocal: spec.externalTrafficPolicy === 'Local' },
      ];
      for (const { keys, onlyLocal } of halves) {
        if (keys.length === 0) continue;
        const chosen = choose(onlyLocal ? backends.filter((b) => b.isLocal) : backends);
        for (const { target, address } of chosen) {
          if (isWithin(address, node.podCIDR)) continue;
          const [ip, targetPort] = target.split(' . ');
          distant.add(`${ip} . ${protocol} . ${targetPort}`);
        }
        const targets = chosen.map((b) => b.target);
        const endpoints = keepPlaces(previous?.frontends.get(keys[0]!)?.endpoints ?? [], targets);
        let stickyChain: string | undefined;
        if (spec.sessionAffinity === 'ClientIP' && endpoints.length > 0) {
          stickyChain = stickyName(service, port, onlyLocal);
          const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_STICKY_SECONDS;
          addSticky(stickyChain, protocol, endpoints, seconds, chains, sets);
        }
        for (const key of keys) frontends.set(key, { protocol, endpoints, stickyChain });
      }
    }
  }
  return { frontends, clusterIPs, distant: [...distant], guarded, allowed, chains, sets };
}

/** Whether rules are made for it at all: not for headless ones, nor for names of something else, nor for another proxy's. */
export function isProxied(service: Service): boolean {
  return clusterIPsOf(service).length > 0;
}

function clusterIPsOf({ metadata, spec }: Service): string[] {
  if (spec.type === 'ExternalName' || metadata.labels?.[PROXY_NAME_LABEL] !== undefined) return [];
  const all = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return all.filter(isIPv4);
}

/** Addresses other than the cluster's at which the world reaches it. */
function outsideAddresses(service: Service): string[] {
  const external = (service.spec.externalIPs ?? []).filter(isIPv4);
  return [...new Set([...external, ...balancerAddresses(service)])];
}

function balancerAddresses({ spec, status }: Service): string[] {
  const balancers = spec.type === 'LoadBalancer' ? (status?.loadBalancer?.ingress ?? []) : [];
  return balancers
    .filter((b) => b.ipMode !== 'Proxy')
    .flatMap(({ ip }) => (ip !== undefined && isIPv4(ip) ? [ip] : []));
}

/** Those who may use its load balancer where it says who, without those that others hold. What is no IPv4 network is nobody. */
function sourceRanges({ spec }: Service): string[] {
  const given = (spec.loadBalancerSourceRanges ?? []).flatMap((text) => parseCidr(text.trim()) ?? []);
  const widest = given.sort((a, b) => a.length - b.length);
  return widest.filter((range, i) => !widest.slice(0, i).some((wider) => overlaps(wider, range))).map(formatCidr);
}

function backendsOf(port: ServicePort, slices: readonly EndpointSlice[], node: ProxyNode): Backend[] {
  const backends = new Map<string, Backend>();
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue;
    const number = slice.ports?.find((p) => isSamePort(p, port))?.port;
    if (number === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      const backend = backendOf(endpoint, number, node);
      if (!backend) continue;
      // While a pod moves from one slice to another it is in both; what is ready in one of them counts.
      const other = backends.get(backend.target);
      if (!other || (backend.isReady && !other.isReady)) backends.set(backend.target, backend);
    }
  }
  return [...backends.values()];
}

function isSamePort(a: DiscoveryV1EndpointPort, b: ServicePort): boolean {
  return (a.name ?? '') === (b.name ?? '') && (a.protocol ?? 'TCP') === (b.protocol ?? 'TCP');
}

/** Conditions that are absent: discovery/v1, "nil should be interpreted as true" for ready, and serving as ready. */
function backendOf({ addresses, conditions, nodeName }: Endpoint, port: number, node: ProxyNode): Backend | undefined {
  // All of an endpoint's addresses are the same thing; clients use the first.
  const address = addresses[0] ?? '';
  if (!isIPv4(address)) return undefined;
  const isReady = conditions?.ready ?? true;
  return {
    target: `${address} . ${port}`,
    address,
    isReady,
    isServingTerminating: (conditions?.serving ?? isReady) && (conditions?.terminating ?? false),
    isLocal: nodeName === node.nodeName,
  };
}

function choose(backends: readonly Backend[]): Backend[] {
  const ready = backends.filter((b) => b.isReady);
  return ready.length > 0 ? ready : backends.filter((b) => b.isServingTerminating);
}

/** `wanted` in an order in which as many as possible are where they were. */
function keepPlaces(before: readonly string[], wanted: readonly string[]): string[] {
  const left = new Set(wanted);
  const places: (string | undefined)[] = before.slice(0, wanted.length).map((target) => {
    return left.delete(target) ? target : undefined;
  });
  const others = left.values();
  return wanted.map((_, place) => places[place] ?? others.next().value!);
}

function stickyName({ metadata }: Service, port: ServicePort, onlyLocal: boolean): string {
  const words = [metadata.namespace, metadata.name, port.protocol ?? 'TCP', port.port, onlyLocal ? 'local' : 'cluster'];
  return `svc-sticky-${createHash('sha256').update(words.join('/')).digest('hex').slice(0, 12)}`;
}

/** Each endpoint has a set of the clients that it had, which forgets them; who is in none draws a number. */
function addSticky(
  chain: string,
  protocol: Protocol,
  endpoints: readonly string[],
  seconds: number,
  chains: Map<string, readonly string[]>,
  sets: Map<string, string>,
): void {
  const parts = endpoints.map((target) => {
    const [ip, port] = target.split(' . ');
    const own = `${chain}-${ip}-${port}`;
    const clients = `${own}-${seconds}s`;
    sets.set(clients, `type ipv4_addr; flags dynamic,timeout; timeout ${seconds}s;`);
    chains.set(own, [`meta l4proto ${protocol} update @${clients} { ip saddr } dnat ip to ${ip}:${port}`]);
    return { own, clients };
  });
  chains.set(chain, [
    ...parts.map(({ own, clients }) => `ip saddr @${clients} goto ${own}`),
    `numgen random mod ${parts.length} vmap { ${parts.map(({ own }, i) => `${i} : goto ${own}`).join(', ')} }`,
  ]);
}

function isIPv4(text: string): boolean {
  return parseIPv4(text) !== undefined;
}

let lastParsed: { readonly text: string; readonly cidr: Cidr | undefined } | undefined;

function isWithin(address: string, network: string): boolean {
  // Always the same network, and thousands of addresses.
  if (lastParsed?.text !== network) lastParsed = { text: network, cidr: parseCidr(network) };
  const parsed = lastParsed.cidr;
  return parsed !== undefined && cidr(parseIPv4(address)!, parsed.length).base === parsed.base;
}
