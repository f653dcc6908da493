import { errnoOf, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { runCommand } from '../lib/nft.ts';

/**
 * Makes UDP clients forget endpoints that are gone. The kernel sends all packets between two ports the same way for as long as they
 * keep coming, so that a client that goes on would never reach another endpoint. (TCP connections end by themselves, and may
 * finish what they are at.) Needs Debian's `conntrack`; without it such a client is stuck until it is silent for half a minute.
 */
export class UdpFlows {
  private readonly logger: Logger;
  private isMissing = false;

  constructor(logger: Logger) {
    this.logger = logger;
  }

  /** @param targets `10.88.0.5 . 53`. Never rejects. */
  async forget(targets: readonly string[]): Promise<void> {
    for (const target of targets) {
      if (this.isMissing) return;
      const [address = '', port = ''] = target.split(' . ');
      try {
        await runCommand('conntrack', ['-D', '-p', 'udp', '--reply-src', address, '--reply-port-src', port]);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') {
          this.isMissing = true;
          this.logger.warn(
            { hint: 'apt-get install conntrack' },
            'conntrack is not installed: UDP clients that never pause go on to send to endpoints that are gone',
          );
        } else if (!/\b0 flow entries/.test(messageOf(error))) {
          this.logger.warn({ target, error: messageOf(error) }, 'UDP flows to an endpoint that is gone are not ended');
        }
      }
    }
  }
}
