import type { Protocol } from './compute-rules.ts';
import type { NftCommand } from './rule-book.ts';

/** Everything of the proxy in the instance's table is called `svc-...`; the rest of the table is the pod network's. */
const PREFIX = 'svc-';

/** The sets and maps whose elements are the Services. */
export const SETS = {
  /** Reached at an address and a port. */
  address: {
    frontends: 'svc-addresses',
    endpoints: { tcp: 'svc-address-tcp', udp: 'svc-address-udp', sctp: 'svc-address-sctp' },
    refused: 'svc-refused-addresses',
  },
  /** Reached at a port of any address of the host. */
  nodePort: {
    frontends: 'svc-node-ports',
    endpoints: { tcp: 'svc-node-port-tcp', udp: 'svc-node-port-udp', sctp: 'svc-node-port-sctp' },
    refused: 'svc-refused-node-ports',
  },
  clusterIPs: 'svc-cluster-ips',
  distant: 'svc-distant',
  /** Load balancers that are for some clients only, and for whom. */
  guarded: 'svc-guarded',
  allowed: 'svc-allowed',
} as const;

type FrontendKind = 'address' | 'nodePort';

/** The chain that leads to one of `count` endpoints at random, of whichever frontend: all with as many endpoints share it. */
export function pickChain(kind: FrontendKind, protocol: Protocol, count: number): string {
  return `${PREFIX}pick-${kind === 'address' ? 'address' : 'node-port'}-${protocol}-${count}`;
}

export function pickRule(kind: FrontendKind, protocol: Protocol, count: number): string {
  return `dnat ip to ${place(kind, protocol, count)} map @${SETS[kind].endpoints[protocol]}`;
}

function place(kind: FrontendKind, protocol: Protocol, count: number): string {
  return `${kind === 'address' ? 'ip daddr . ' : ''}${protocol} dport . numgen random mod ${count}`;
}

const ADDRESS = 'ip daddr . meta l4proto . th dport';
const NODE_PORT = 'fib daddr type local meta l4proto . th dport';

/**
 * The part of the table that no Service changes: empty sets, and the chains that look into them. A connection is looked up once,
 * when its first packet comes: cost does not depend on how many Services there are.
 * @param bridge the pods' bridge: cluster addresses are for pods and the host, not for the world; undefined when not known
 */
export function baseCommands(bridge: string | undefined): NftCommand[] {
  const commands: NftCommand[] = [];
  const set = (name: string, type: string): void => {
    commands.push(['add', type.includes(':') ? 'map' : 'set', name, `{ ${type}; }`]);
  };
  set(SETS.address.frontends, 'type ipv4_addr . inet_proto . inet_service : verdict');
  set(SETS.nodePort.frontends, 'type inet_proto . inet_service : verdict');
  set(SETS.address.refused, 'type ipv4_addr . inet_proto . inet_service');
  set(SETS.nodePort.refused, 'type inet_proto . inet_service');
  for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
    for (const kind of ['address', 'nodePort'] as const) {
      set(SETS[kind].endpoints[protocol], `typeof ${place(kind, protocol, 2)} : ip daddr . ${protocol} dport`);
    }
  }
  set(SETS.clusterIPs, 'type ipv4_addr');
  set(SETS.distant, 'type ipv4_addr . inet_proto . inet_service');
  set(SETS.guarded, 'type ipv4_addr . inet_proto . inet_service');
  set(SETS.allowed, 'type ipv4_addr . inet_proto . inet_service . ipv4_addr; flags interval');

  const chain = (name: string, hook: string, rules: readonly string[]): void => {
    commands.push(['add', 'chain', name, hook && `{ ${hook}; policy accept; }`]);
    for (const rule of rules) commands.push(['add', 'rule', name, rule]);
  };
  const lead = [
    `${ADDRESS} @${SETS.guarded} ${ADDRESS} . ip saddr != @${SETS.allowed} drop`,
    `${ADDRESS} vmap @${SETS.address.frontends}`,
    `${NODE_PORT} vmap @${SETS.nodePort.frontends}`,
  ];
  // One after the host ports, which have the first word.
  chain('svc-from-outside', 'type nat hook prerouting priority -99', [
    ...(bridge === undefined ? [] : [`iifname != "${bridge}" ip daddr @${SETS.clusterIPs} return`]),
    ...lead,
  ]);
  chain('svc-from-host', 'type nat hook output priority -99', lead);
  chain('svc-hide', 'type nat hook postrouting priority 99', [
    `oifname != "lo" ct status dnat ${ADDRESS} @${SETS.distant} masquerade`,
  ]);
  chain('svc-refuse', '', ['meta l4proto tcp reject with tcp reset', 'reject']);
  // What still has such a destination after translation found no endpoint. A cluster address that is also the host's own, as
  // that of the cluster's DNS may be, is for whoever listens there.
  const stray = `ip daddr @${SETS.clusterIPs} fib daddr type != local goto svc-refuse`;
  const refuse = [
    `${ADDRESS} @${SETS.address.refused} goto svc-refuse`,
    `meta l4proto . th dport @${SETS.nodePort.refused} fib daddr type local goto svc-refuse`,
  ];
  // Unlike translation, a filter sees every packet.
  const isKnown = 'ct state != new return';
  chain('svc-refuse-outside', 'type filter hook prerouting priority -98', [
    isKnown,
    bridge === undefined ? stray : `iifname "${bridge}" ${stray}`,
    ...refuse,
  ]);
  chain('svc-refuse-host', 'type filter hook output priority 0', [isKnown, stray, ...refuse]);
  return commands;
}

/**
 * Removes whatever of the proxy is in the table.
 * @param listed what `nft -j -t list table` prints
 * @param kept sets that stay as they are, with their elements: the clients that endpoints had
 */
export function clearCommands(listed: string, kept: ReadonlySet<string>): NftCommand[] {
  const { nftables } = JSON.parse(listed) as { nftables: Record<string, { name?: string } | undefined>[] };
  const named = (kind: string): string[] =>
    nftables.flatMap((object) => {
      const name = object[kind]?.name;
      return name?.startsWith(PREFIX) ? [name] : [];
    });
  const chains = named('chain');
  const maps = named('map');
  return [
    ...chains.map((name): NftCommand => ['flush', 'chain', name]),
    // Maps lead to chains.
    ...maps.map((name): NftCommand => ['delete', 'map', name]),
    ...chains.map((name): NftCommand => ['delete', 'chain', name]),
    ...named('set')
      .filter((name) => !kept.has(name))
      .map((name): NftCommand => ['delete', 'set', name]),
  ];
}

/** One line of an nft script. */
export function commandLine(table: string, [verb, object, name, rest]: NftCommand): string {
  return `${verb} ${object} ip ${table} ${name}${rest ? ` ${rest}` : ''}`;
}
