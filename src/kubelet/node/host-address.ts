import { readFileSync } from 'node:fs';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { Clock } from '../../lib/clock.ts';

/** As often as the node's status is looked at (upstream: nodeStatusUpdateFrequency). */
const LOOK_PERIOD_MS = 10_000;
const LOOPBACK = '127.0.0.1';

export interface HostNetwork {
  readonly interfaces: Readonly<Record<string, NetworkInterfaceInfo[] | undefined>>;
  /** The text of `/proc/net/route`. */
  readonly routes: string;
}

/**
 * The host's IPv4 address that others can reach: that of the first device with a default route, as upstream
 * (apimachinery `net.ChooseHostInterface`). While there is none the host keeps the address it had, `before`; one that had none gets the first
 * that is not loopback, or loopback. Pure.
 */
export function chooseHostAddress({ interfaces, routes }: HostNetwork, before?: string): string {
  const external = (device: string): string | undefined =>
    interfaces[device]?.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  const addresses = (devices: readonly string[]): string[] => devices.flatMap((device) => external(device) ?? []);
  const byRoute = addresses(defaultRouteDevices(routes))[0];
  return byRoute ?? before ?? addresses(Object.keys(interfaces))[0] ?? LOOPBACK;
}

/** The host's address, looked at again when that is 10 s ago: a machine moves from one network to another while the agent runs. */
export class HostAddress {
  private readonly clock: Clock;
  private readonly read: () => HostNetwork;
  private address: string | undefined;
  private lookedAt = Number.NEGATIVE_INFINITY;

  /** @param read reads the host's network; another one in tests */
  constructor(clock: Clock, read: () => HostNetwork = readHostNetwork) {
    this.clock = clock;
    this.read = read;
  }

  get current(): string {
    const now = this.clock.monotonic();
    if (this.address === undefined || now - this.lookedAt >= LOOK_PERIOD_MS) {
      this.lookedAt = now;
      this.address = chooseHostAddress(this.read(), this.address);
    }
    return this.address;
  }
}

/** In the kernel's order, which is that of their metrics. */
function defaultRouteDevices(routes: string): string[] {
  return routes
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/))
    .filter(([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000')
    .map(([device]) => device!);
}

function readHostNetwork(): HostNetwork {
  let routes = '';
  try {
    routes = readFileSync('/proc/net/route', 'utf8');
  } catch {
    // A kernel without it shows its devices all the same.
  }
  return { interfaces: networkInterfaces(), routes };
}
