import type { KubeClient } from '../client/kube-client.ts';
import { startClusterDns } from '../dns/cluster-dns.ts';
import { errnoOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { CLUSTER_DOMAIN } from './agent-services.ts';
import type { AgentDeps } from './start-agent.ts';

const DNS_PORT = 53;

/**
 * Starts the cluster's DNS at an address that is one of the host's own, on the pods' bridge: no rule has to lead there. It answers while
 * the agent runs. Without it, when the port is taken, everything else goes on, with a warning on the screen.
 * @returns whether it answers
 */
export async function startDns(
  given: {
    readonly address: string;
    readonly resolvConf: string;
    readonly client: KubeClient;
    readonly logger: Logger;
  },
  { clock, random, onProgress }: AgentDeps,
  started: AsyncDisposableStack,
): Promise<boolean> {
  const { address, client, resolvConf } = given;
  const logger = given.logger.child({ component: 'dns' });
  try {
    const listening = { address, port: DNS_PORT, domain: CLUSTER_DOMAIN };
    const dns = await startClusterDns({ client, ...listening, resolvConf, clock, random, logger });
    started.defer(() => dns.close());
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') throw error;
    onProgress(
      `warning: pods have no names of Services: another program listens on port ${DNS_PORT} of all addresses; see which with: ss -lnup sport = ${DNS_PORT}`,
    );
    return false;
  }
}
