import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { Service } from '../api/generated/types.ts';
import { referenceTo, SERVICES } from '../api/resources.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { ServiceEvents } from './proxier.ts';

/** Takes a port of this machine, so that others find it taken. @returns how to give it back @throws the system's error */
export type TakePort = (protocol: NodePort['protocol'], port: number) => Promise<() => void>;

export interface NodePortHolderOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: ServiceEvents;
  /** Another one in tests. */
  readonly takePort?: TakePort;
}

interface NodePort {
  readonly protocol: 'TCP' | 'UDP';
  readonly port: number;
}

/** A node port that we have or tried to have. */
interface Hold extends NodePort {
  release: (() => void) | undefined;
  isWanted: boolean;
}

/**
 * Has a socket at each node port on 127.0.0.1, at which nothing arrives, since the kernel's rules come first: so another instance does
 * not draw a port that is used here, another program that wants it is told by the system, and when somebody has it already, the
 * Service's owner hears of it. All of it ends with the process.
 */
export class NodePortHolder {
  private readonly options: NodePortHolderOptions;
  private readonly services: Informer<Service>;
  /** By Service, then by `TCP 30080`. */
  private readonly held = new Map<string, Map<string, Hold>>();

  constructor(options: NodePortHolderOptions) {
    this.options = options;
    this.services = new Informer({ ...options, resource: SERVICES });
    const put = (service: Service): void => this.put(service, nodePortsOf(service));
    this.services.addHandlers({ add: put, update: put, delete: (service) => this.put(service, []) });
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.services.run(signal);
    for (const holds of this.held.values()) for (const hold of holds.values()) letGo(hold);
  }

  private put(service: Service, wanted: readonly NodePort[]): void {
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    const before = this.held.get(key) ?? new Map<string, Hold>();
    const after = new Map<string, Hold>();
    for (const { protocol, port } of wanted) {
      const name = `${protocol} ${port}`;
      const known = before.get(name);
      const hold = known ?? { protocol, port, release: undefined, isWanted: true };
      after.set(name, hold);
      before.delete(name);
      if (!known) void this.take(hold, service);
    }
    for (const hold of before.values()) letGo(hold);
    if (after.size > 0) this.held.set(key, after);
    else this.held.delete(key);
  }

  private async take(hold: Hold, service: Service): Promise<void> {
    const { protocol, port } = hold;
    try {
      hold.release = await (this.options.takePort ?? takePort)(protocol, port);
      if (!hold.isWanted) hold.release();
    } catch (error) {
      this.options.logger.warn({ protocol, port, error: messageOf(error) }, 'node port not held');
      if (errnoOf(error) !== 'EADDRINUSE') return;
      const message =
        `${protocol} node port ${port} is in use by another program of this machine, and who is reached there is not certain; ` +
        `see who has it with: ss -ln${protocol === 'TCP' ? 't' : 'u'}p sport = ${port}`;
      this.options.events.record(referenceTo(SERVICES, service), 'Warning', 'NodePortInUse', message);
    }
  }
}

function letGo(hold: Hold): void {
  hold.isWanted = false;
  hold.release?.();
}

/** Not those for SCTP, of which Node has no sockets. */
function nodePortsOf({ spec }: Service): NodePort[] {
  return (spec?.ports ?? []).flatMap(({ nodePort: port, protocol = 'TCP' }) =>
    port && (protocol === 'TCP' || protocol === 'UDP') ? [{ protocol, port }] : [],
  );
}

const takePort: TakePort = (protocol, port) =>
  new Promise((resolve, reject) => {
    const address = '127.0.0.1';
    // Errors that come later are none of ours to mend, and must not end the process.
    if (protocol === 'TCP') {
      const server = createServer((socket) => socket.destroy()).on('error', reject);
      server.unref().listen(port, address, () => resolve(() => server.close()));
    } else {
      const socket = createSocket('udp4').on('error', reject);
      socket.unref().bind(port, address, () => resolve(() => socket.close()));
    }
  });
