import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { UserError } from '../../lib/errors.ts';
import { DEFAULT_ROOT_DIR, type InstanceLayout } from '../../lib/instance.ts';
import { type Cidr, cidr, formatCidr, overlaps, parseCidr } from '../../lib/ipv4.ts';

/** One of the host's routes. */
export interface Route {
  readonly device: string;
  readonly cidr: Cidr;
  /** 0 for those that come with an address of the device. */
  readonly metric: number;
}

/** Bounds of a pod network's prefix: a gateway and a few pods at least, and no more than a private range. */
const SHORTEST = 8;
const LONGEST = 29;

/** How many /16 networks from 10.88 on the default instance tries. */
const DEFAULT_CHOICES = 8;
const DEFAULT_BASE = parseCidr('10.88.0.0/16')!;

/** Where the other instances have their /24 networks. */
const OTHERS = parseCidr('10.128.0.0/9')!;
const OTHERS_COUNT = 2 ** (24 - OTHERS.length);

/**
 * The pod network of an instance for which the user did not choose one: 10.88.0.0/16 for the default instance, for any other a
 * /24 in 10.128.0.0/9 that follows from its root directory; the next one when it overlaps a network in use. Pure.
 */
export function defaultPodCIDR(layout: InstanceLayout, used: readonly Cidr[]): string {
  const free = (candidate: Cidr): boolean => !used.some((other) => overlaps(candidate, other));
  if (layout.rootDir === DEFAULT_ROOT_DIR) {
    for (let i = 0; i < DEFAULT_CHOICES; i++) {
      const candidate = cidr(DEFAULT_BASE.base + i * 2 ** 16, 16);
      if (free(candidate)) return formatCidr(candidate);
    }
  }
  const start = createHash('sha256').update(layout.rootDir).digest().readUInt32BE(0);
  for (let i = 0; i < OTHERS_COUNT; i++) {
    const candidate = cidr(OTHERS.base + ((start + i) % OTHERS_COUNT) * 2 ** 8, 24);
    if (free(candidate)) return formatCidr(candidate);
  }
  throw new UserError('no free network for pods: every /24 in 10.128.0.0/9 overlaps a route of this host', {
    hint: 'choose a network with --pod-cidr, such as --pod-cidr 192.168.200.0/24',
  });
}

/**
 * The pod network to use: the user's choice, checked; or that of the instance's bridge, when it still stands; or the default.
 * @param wanted `--pod-cidr`
 * @throws UserError that names the value
 */
export function resolvePodCIDR(
  layout: InstanceLayout,
  wanted?: string,
  routes: readonly Route[] = readRoutes(),
): string {
  const others = routes.filter((route) => route.device !== layout.bridge);
  if (wanted === undefined) {
    const own = routes.find((r) => r.device === layout.bridge && r.metric === 0 && isUsable(r.cidr));
    if (own) return formatCidr(own.cidr);
    return defaultPodCIDR(
      layout,
      others.map((route) => route.cidr),
    );
  }
  const refuse = (why: string): UserError => new UserError(`--pod-cidr ${JSON.stringify(wanted)}: ${why}`);
  const parsed = parseCidr(wanted);
  if (!parsed) throw refuse('not an IPv4 network (such as 10.88.0.0/16)');
  if (!isUsable(parsed)) throw refuse(`the prefix must be from /${SHORTEST} to /${LONGEST}`);
  if (formatCidr(parsed) !== wanted) throw refuse(`not a network's address; did you mean ${formatCidr(parsed)}?`);
  const special = specialNetwork(parsed);
  if (special !== undefined) throw refuse(`overlaps ${special}`);
  const clash = others.find((route) => overlaps(route.cidr, parsed));
  if (clash) throw refuse(`overlaps the route ${formatCidr(clash.cidr)} of this host (device ${clash.device})`);
  return wanted;
}

const SPECIAL = [
  ['0.0.0.0/8', 'addresses of no host'],
  ['127.0.0.0/8', 'loopback addresses'],
  ['169.254.0.0/16', 'link-local addresses'],
  ['224.0.0.0/4', 'multicast addresses'],
] as const;

/** A range that no pod and no Service can have addresses of, in words, when the network overlaps one. Pure. */
export function specialNetwork(network: Cidr): string | undefined {
  const found = SPECIAL.find(([range]) => overlaps(parseCidr(range)!, network));
  return found && `${found[0]}, ${found[1]}`;
}

function isUsable({ length }: Cidr): boolean {
  return length >= SHORTEST && length <= LONGEST;
}

/** The host's IPv4 routes, without the default route. */
export function readRoutes(): Route[] {
  return parseRoutes(readFileSync('/proc/net/route', 'utf8'));
}

/** From the text of `/proc/net/route`: a head line, then device, destination and, in the last columns but three, metric and mask; networks in hexadecimal. */
export function parseRoutes(text: string): Route[] {
  const routes: Route[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [device, destination, , , , , metric, mask] = line.trim().split(/\s+/);
    if (device === undefined || destination === undefined || mask === undefined) continue;
    const length = bitCount(littleEndian(mask));
    if (length > 0) routes.push({ device, cidr: cidr(littleEndian(destination), length), metric: Number(metric) });
  }
  return routes;
}

function littleEndian(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE(0);
}

function bitCount(value: number): number {
  return value.toString(2).replaceAll('0', '').length;
}
