import { createHash } from 'node:crypto';
import { assert, UserError } from '../../lib/errors.ts';
import { DEFAULT_ROOT_DIR, type InstanceLayout } from '../../lib/instance.ts';
import { cidr, formatCidr, overlaps, parseCidr } from '../../lib/ipv4.ts';
import { type Route, readRoutes } from './pod-cidr.ts';

/** As kubeadm has it, of a size that one table holds. */
const DEFAULT = parseCidr('10.96.0.0/16')!;

/** Where the other instances have their /24 networks. */
const OTHERS = parseCidr('10.128.0.0/9')!;
const OTHERS_COUNT = 2 ** (24 - OTHERS.length);

/**
 * Where the Services of an instance have their addresses: 10.96.0.0/16 for the default instance, for any other a /24 in 10.128.0.0/9
 * that follows from its root directory; the next one when it overlaps the pods' network or another route of the host.
 * @param podCIDR the instance's pod network
 * @throws UserError when every network is taken
 */
export function resolveServiceCIDR(
  layout: InstanceLayout,
  podCIDR: string,
  routes: readonly Route[] = readRoutes(),
): string {
  const pods = parseCidr(podCIDR);
  assert(pods, `${podCIDR} is a network`);
  const used = [pods, ...routes.filter(({ device }) => device !== layout.bridge).map((route) => route.cidr)];
  const free = (candidate: typeof DEFAULT): boolean => !used.some((other) => overlaps(candidate, other));
  if (layout.rootDir === DEFAULT_ROOT_DIR && free(DEFAULT)) return formatCidr(DEFAULT);
  const start = createHash('sha256').update(`services of ${layout.rootDir}`).digest().readUInt32BE(0);
  for (let i = 0; i < OTHERS_COUNT; i++) {
    const candidate = cidr(OTHERS.base + ((start + i) % OTHERS_COUNT) * 2 ** 8, 24);
    if (free(candidate)) return formatCidr(candidate);
  }
  throw new UserError('no free network for Services: every /24 in 10.128.0.0/9 overlaps a network of this host');
}
