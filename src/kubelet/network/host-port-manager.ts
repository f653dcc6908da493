import type { Pod } from '../../api/generated/types.ts';
import { hostPortsOf } from '../../api/host-ports.ts';
import type { InstanceLayout } from '../../lib/instance.ts';
import { parseIPv4 } from '../../lib/ipv4.ts';
import { isMissing, type RunNft, runNft } from '../../lib/nft.ts';
import type { UdpFlows } from '../../lib/udp-flows.ts';
import type { HostPortManager } from '../ports.ts';
import type { SandboxRuntimeStatus } from '../runtime-status.ts';
import { type Elements, elementChanges, hostPortElements, parseElements } from './host-port-elements.ts';
import { routeLocalnet } from './route-localnet.ts';

const NONE: Elements = new Map();

/**
 * Host ports by elements of two nft maps in the instance's table (see `PodNetwork`). Each element has its pod's UID as comment, so
 * that after a crash we know what is whose; a change touches that pod's elements only, in one transaction.
 */
export class NftHostPortManager implements HostPortManager {
  private readonly layout: InstanceLayout;
  private readonly udpFlows: Pick<UdpFlows, 'forgetStrays'>;
  private readonly nft: RunNft;
  private readonly owned = new Map<string, Elements>();
  /** Pods that were set since we started. What others own is left from before, and gives way. */
  private readonly confirmed = new Set<string>();
  private restored: Promise<void> | undefined;
  private tail: Promise<unknown> = Promise.resolve();

  /** @param nft runs nft; another one in tests */
  constructor(layout: InstanceLayout, udpFlows: Pick<UdpFlows, 'forgetStrays'>, nft: RunNft = runNft) {
    this.layout = layout;
    this.udpFlows = udpFlows;
    this.nft = nft;
  }

  set(pod: Pod, sandbox: SandboxRuntimeStatus): Promise<void> {
    const uid = pod.metadata.uid ?? '';
    const podIP = sandbox.ips.find((ip) => parseIPv4(ip) !== undefined);
    const ports = sandbox.hostNetwork || podIP === undefined ? [] : hostPortsOf(pod);
    return this.serially(async () => {
      this.confirmed.add(uid);
      await this.change(uid, ports.length === 0 ? NONE : hostPortElements(ports, podIP!));
      if (ports.length > 0) await routeLocalnet(this.layout.bridge);
    });
  }

  remove(podUID: string): Promise<void> {
    return this.serially(async () => {
      await this.change(podUID, NONE);
      this.confirmed.delete(podUID);
    });
  }

  /** Removes the ports of every pod that is not among these. For the start, when the node knows what it runs. */
  retain(podUIDs: { has(podUID: string): boolean }): Promise<void> {
    return this.serially(async () => {
      await this.restore();
      for (const uid of [...this.owned.keys()]) if (!podUIDs.has(uid)) await this.change(uid, NONE);
    });
  }

  /** Puts all ports into the kernel again: somebody removed them. The maps must be there. */
  reinstall(): Promise<void> {
    return this.serially(async () => {
      const { nftTable } = this.layout;
      const owned = [...this.owned];
      const script = owned.map(([uid, elements]) => elementChanges(nftTable, uid, NONE, elements)).join('');
      if (script !== '') await this.nft(['-f', '-'], script);
    });
  }

  private async change(uid: string, after: Elements): Promise<void> {
    await this.restore();
    const before = this.owned.get(uid) ?? NONE;
    let script = '';
    for (const [other, elements] of this.owned) {
      if (other === uid) continue;
      const shared = [...after.keys()].filter((key) => elements.has(key));
      if (shared.length === 0) continue;
      if (this.confirmed.has(other))
        throw new Error(`host port ${portOf(shared[0]!)} is in use by the pod with UID ${other}`);
      script += elementChanges(this.layout.nftTable, other, elements, NONE);
      this.owned.delete(other);
    }
    script += elementChanges(this.layout.nftTable, uid, before, after);
    if (script !== '') await this.nft(['-f', '-'], script);
    if (after.size > 0) this.owned.set(uid, after);
    else this.owned.delete(uid);
    // As the CNI plugin portmap does: a client that never pauses would go on to send to the pod that was there before, or to nobody.
    const added = [...after].filter(([key, target]) => before.get(key) !== target);
    await this.udpFlows.forgetStrays(new Map(added.map(([key, target]) => [frontendOf(key), [target]])));
  }

  /** Learns once what an earlier life of ours left in the kernel. */
  private restore(): Promise<void> {
    this.restored ??= (async () => {
      try {
        const listed = await this.nft(['-j', 'list', 'table', 'ip', this.layout.nftTable]);
        for (const [uid, elements] of parseElements(listed)) this.owned.set(uid, elements);
      } catch (error) {
        if (!isMissing(error)) {
          this.restored = undefined;
          throw error;
        }
      }
    })();
    return this.restored;
  }

  private serially<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.tail.then(work, work);
    this.tail = mine.catch(() => {});
    return mine;
  }
}

/** `tcp 8080` or `127.0.0.1 tcp 8080`, from an element's key. */
function portOf(key: string): string {
  return frontendOf(key).replaceAll(' . ', ' ');
}

/** `tcp . 8080` or `127.0.0.1 . tcp . 8080` */
function frontendOf(key: string): string {
  return key.slice(key.indexOf(' ') + 1);
}
