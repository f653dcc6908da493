import { createHash } from 'node:crypto';
import { assert, UserError } from '../../lib/errors.ts';
import { DEFAULT_ROOT_DIR, type InstanceLayout } from '../../lib/instance.ts';
import { cidr, formatCidr, overlaps, parseCidr } from '../../lib/ipv4.ts';
import { type Route, readRoutes, specialNetwork } from './pod-cidr.ts';

/** As kubeadm has it, of a size that one table holds. */
const DEFAULT = parseCidr('10.96.0.0/16')!;

/** Bounds of a prefix: 16 addresses hold the tenth, which is the cluster's DNS; upstream has no more than 2^20. */
const SHORTEST = 12;
const LONGEST = 28;

/** Where the other instances have their /24 networks. */
const OTHERS = parseCidr('10.128.0.0/9')!;
const OTHERS_COUNT = 2 ** (24 - OTHERS.length);

/**
 * Where the Services of an instance have their addresses: 10.96.0.0/16 for the default instance, for any other a /24 in 10.128.0.0/9
 * that follows from its root directory; the next one when it overlaps the pods' network or another route of the host.
 * @param podCIDR the instance's pod network
 * @param wanted `--service-cidr`
 * @throws UserError when every network is taken, or that names the wanted one
 */
export function resolveServiceCIDR(
  layout: InstanceLayout,
  podCIDR: string,
  wanted: string | undefined,
  routes: readonly Route[] = readRoutes(),
): string {
  const pods = parseCidr(podCIDR);
  assert(pods, `${podCIDR} is a network`);
  const used = [pods, ...routes.filter(({ device }) => device !== layout.bridge).map((route) => route.cidr)];
  const free = (candidate: typeof DEFAULT): boolean => !used.some((other) => overlaps(candidate, other));
  if (wanted !== undefined) return checked(wanted, free);
  if (layout.rootDir === DEFAULT_ROOT_DIR && free(DEFAULT)) return formatCidr(DEFAULT);
  const start = createHash('sha256').update(`services of ${layout.rootDir}`).digest().readUInt32BE(0);
  for (let i = 0; i < OTHERS_COUNT; i++) {
    const candidate = cidr(OTHERS.base + ((start + i) % OTHERS_COUNT) * 2 ** 8, 24);
    if (free(candidate)) return formatCidr(candidate);
  }
  throw new UserError('no free network for Services: every /24 in 10.128.0.0/9 overlaps a network of this host');
}

function checked(wanted: string, free: (candidate: typeof DEFAULT) => boolean): string {
  const refuse = (why: string): UserError => new UserError(`--service-cidr ${JSON.stringify(wanted)}: ${why}`);
  const parsed = parseCidr(wanted);
  if (!parsed) throw refuse('not an IPv4 network (such as 10.96.0.0/16)');
  if (parsed.length < SHORTEST || parsed.length > LONGEST) {
    throw refuse(`the prefix must be from /${SHORTEST} to /${LONGEST}`);
  }
  if (formatCidr(parsed) !== wanted) throw refuse(`not a network's address; did you mean ${formatCidr(parsed)}?`);
  const special = specialNetwork(parsed);
  if (special !== undefined) throw refuse(`overlaps ${special}`);
  if (!free(parsed)) throw refuse("overlaps the pods' network or a route of this host");
  return wanted;
}
