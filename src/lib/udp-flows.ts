import { networkInterfaces } from 'node:os';
import { errnoOf, messageOf } from './errors.ts';
import type { Logger } from './logger.ts';
import { runCommand } from './nft.ts';

/** What is reached at an address and a port, `10.96.0.7 . udp . 53`, or at a port of any of the host's addresses, `udp . 30053`. */
type FrontendKey = string;
/** `10.88.0.5 . 53` */
type Target = string;

export interface UdpFlowsHost {
  /** @returns what conntrack prints */
  conntrack(args: readonly string[]): Promise<string>;
  /** The host's own addresses. */
  addresses(): string[];
}

const HOST: UdpFlowsHost = {
  conntrack: (args) => runCommand('conntrack', args),
  addresses: () => Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address)),
};

/**
 * Makes UDP clients forget where their packets went. The kernel sends all packets between two ports the same way for as long as they
 * keep coming, so that a client that goes on would never reach another endpoint. (TCP connections end by themselves, and may
 * finish what they are at.) Needs Debian's `conntrack`; without it such a client is stuck until it is silent for half a minute.
 */
export class UdpFlows {
  private readonly logger: Logger;
  private readonly host: UdpFlowsHost;
  private isMissing = false;

  /** @param host another one in tests */
  constructor(logger: Logger, host: UdpFlowsHost = HOST) {
    this.logger = logger;
    this.host = host;
  }

  /** Ends the flows to endpoints that are gone. Never rejects. */
  async forget(targets: readonly Target[]): Promise<void> {
    for (const target of targets) {
      const [address = '', port = ''] = target.split(' . ');
      await this.conntrack(['-D', '-p', 'udp', '--reply-src', address, '--reply-port-src', port]);
    }
  }

  /**
   * Ends the flows to frontends that lead to none of their endpoints: those that began before the kernel knew the frontend. Source:
   * CleanStaleEntries in pkg/proxy/conntrack/cleanup.go. Never rejects.
   * @param frontends those that lead somewhere now; what is not UDP, or has no endpoint, is passed over
   */
  async forgetStrays(frontends: ReadonlyMap<FrontendKey, readonly Target[]>): Promise<void> {
    const wanted = new Map([...frontends].filter(([key, targets]) => isUdp(key) && targets.length > 0));
    const ports = new Set([...wanted.keys()].map((key) => key.split(' . ').at(-1)!));
    const own = new Set(ports.size > 0 ? this.host.addresses() : []);
    const targetsAt = (address: string, port: string): readonly Target[] | undefined =>
      wanted.get(`${address} . udp . ${port}`) ??
      (own.has(address) || address.startsWith('127.') ? wanted.get(`udp . ${port}`) : undefined);
    for (const port of ports) {
      const listed = await this.conntrack(['-L', '-f', 'ipv4', '-p', 'udp', '--orig-port-dst', port]);
      for (const { address, target } of strayFlows(listed, targetsAt)) {
        const [replyFrom = '', replyPort = ''] = target.split(' . ');
        const flow = ['-D', '-p', 'udp', '--orig-dst', address, '--orig-port-dst', port];
        await this.conntrack([...flow, '--reply-src', replyFrom, '--reply-port-src', replyPort]);
      }
    }
  }

  private async conntrack(args: readonly string[]): Promise<string> {
    if (this.isMissing) return '';
    try {
      return await this.host.conntrack(args);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') {
        this.isMissing = true;
        this.logger.warn(
          { hint: 'apt-get install conntrack' },
          'conntrack is not installed: UDP clients that never pause go on to send where they sent before Services and pods changed',
        );
      } else if (!/\b0 flow entries/.test(messageOf(error))) {
        this.logger.warn({ args, error: messageOf(error) }, 'stale UDP flows are not ended');
      }
      return '';
    }
  }
}

/** Where flows were sent, and who answers them instead of an endpoint; each pair once. */
interface Stray {
  readonly address: string;
  readonly target: Target;
}

/** @param listed lines of `conntrack -L`: the original direction's src, dst, sport and dport, and then the answers' */
function strayFlows(
  listed: string,
  targetsAt: (address: string, port: string) => readonly Target[] | undefined,
): Stray[] {
  const found = new Map<string, Stray>();
  for (const line of listed.split('\n')) {
    const values = [...line.matchAll(/\b(?:src|dst|sport|dport)=(\S+)/g)].map(([, value]) => value);
    const [, address = '', , port = '', replyFrom, , replyPort] = values;
    const target = `${replyFrom} . ${replyPort}`;
    if (targetsAt(address, port)?.includes(target) === false) found.set(`${address} ${target}`, { address, target });
  }
  return [...found.values()];
}

function isUdp(key: FrontendKey): boolean {
  return key.split(' . ').at(-2) === 'udp';
}
