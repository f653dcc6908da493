import type { KubeClient } from '../client/kube-client.ts';
import { startClusterDns } from '../dns/cluster-dns.ts';
import { announceDns } from '../dns/dns-service.ts';
import { setUpBridge } from '../kubelet/network/bridge.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';
import { formatIPv4, parseCidr } from '../lib/ipv4.ts';
import type { Logger } from '../lib/logger.ts';
import type { AgentDeps } from './start-agent.ts';

/** The last part of every cluster name, as in every cluster where nobody chose another. */
export const CLUSTER_DOMAIN = 'cluster.local';
/** Of the Services' addresses, by custom (kubeadm). */
const DNS_INDEX = 10;
const DNS_PORT = 53;

/**
 * Starts the cluster's DNS at the tenth address of the Services, which becomes one of the host's own, on the pods' bridge: no rule has to
 * lead there. It answers while the agent runs. Without it, when the port is taken, everything else goes on.
 * @returns the address for pods, or none with a warning on the screen
 */
export async function startDns(
  given: {
    readonly layout: InstanceLayout;
    readonly podCIDR: string;
    readonly serviceCIDR: string;
    readonly resolvConf: string;
    readonly client: KubeClient;
    readonly logger: Logger;
  },
  { clock, random, onProgress }: AgentDeps,
  started: AsyncDisposableStack,
): Promise<string[]> {
  const { client, resolvConf } = given;
  const logger = given.logger.child({ component: 'dns' });
  const address = formatIPv4(parseCidr(given.serviceCIDR)!.base + DNS_INDEX);
  await setUpBridge(given.layout, given.podCIDR, [address]);
  try {
    const listening = { address, port: DNS_PORT, domain: CLUSTER_DOMAIN };
    const dns = await startClusterDns({ client, ...listening, resolvConf, clock, random, logger });
    started.defer(() => dns.close());
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') throw error;
    onProgress(
      `warning: pods have no names of Services: another program listens on port ${DNS_PORT} of all addresses; see which with: ss -lnup sport = ${DNS_PORT}`,
    );
    return [];
  }
  try {
    await announceDns(client, address);
  } catch (error) {
    // It answers all the same.
    logger.warn({ error: messageOf(error) }, 'the Service kube-dns cannot be made');
  }
  return [address];
}
