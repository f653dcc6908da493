import { writeFile } from 'node:fs/promises';
import { errnoOf } from '../../lib/errors.ts';

/**
 * Lets packets from 127.0.0.1 be sent on to the pods' bridge, for ports of the host that lead to pods; `PodNetwork` drops those that
 * come in from it. Without effect as long as there is no bridge: the first pod brings it.
 */
export async function routeLocalnet(bridge: string): Promise<void> {
  try {
    await writeFile(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1');
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
