import { createHash } from 'node:crypto';
import { errnoOf, messageOf, UserError } from '../../lib/errors.ts';
import type { InstanceLayout } from '../../lib/instance.ts';
import { formatIPv4, parseCidr } from '../../lib/ipv4.ts';
import { runCommand } from '../../lib/nft.ts';

/**
 * Makes the pods' bridge before there is a pod, with the gateway's address and `addresses`: more of the host's own, which pods reach
 * there. The CNI plugin takes a bridge that stands. Idempotent; the bridge and all its addresses go with `removePodNetwork`.
 * @throws UserError when ip is missing
 */
export async function setUpBridge(
  { bridge, rootDir }: InstanceLayout,
  podCIDR: string,
  addresses: readonly string[],
): Promise<void> {
  const { base, length } = parseCidr(podCIDR)!;
  try {
    // An address of its own: otherwise it is that of the pod with the smallest, and changes as pods come and go.
    await runCommand('ip', ['link', 'add', bridge, 'address', hardwareAddress(rootDir), 'type', 'bridge']);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      throw new UserError('ip is not installed; the pod network needs it', {
        hint: 'apt-get install iproute2',
        cause: error,
      });
    }
    if (!/File exists/.test(messageOf(error))) throw error;
  }
  // The gateway first: the CNI plugin takes the first address that is not the gateway for a mistake.
  for (const address of [`${formatIPv4(base + 1)}/${length}`, ...addresses.map((each) => `${each}/32`)]) {
    await runCommand('ip', ['address', 'replace', address, 'dev', bridge]);
  }
  await runCommand('ip', ['link', 'set', bridge, 'up']);
}

/**
 * Gives the host a way to the Services' addresses, which exist nowhere: otherwise a host without a default route would not even try.
 * It goes with the bridge. The metric tells it from the pods' network.
 */
export async function routeServices({ bridge }: InstanceLayout, serviceCIDR: string): Promise<void> {
  await runCommand('ip', ['route', 'replace', serviceCIDR, 'dev', bridge, 'metric', '1000']);
}

/** Locally administered, and the same each time. */
function hardwareAddress(rootDir: string): string {
  const hash = createHash('sha256').update(rootDir).digest();
  return ['02', ...[...hash.subarray(0, 5)].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}
