import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UserError } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';
import { systemEnvironment } from './host-programs.ts';
import { replaceFile } from './replace-file.ts';

/** Where libcni remembers what plugins answered; not configurable in containerd. */
const CNI_RESULTS_DIR = '/var/lib/cni/results';

/**
 * The pods' network: one bridge per instance, an address per pod from `podCIDR`. Masquerade and hostPort are not the plugins'
 * business: they would write iptables rules that outlive us, where the instance has one nftables table. Pure.
 */
export function cniConfList(layout: InstanceLayout, podCIDR: string): object {
  return {
    cniVersion: '0.4.0',
    name: layout.id,
    plugins: [
      {
        type: 'bridge',
        bridge: layout.bridge,
        isGateway: true,
        ipMasq: false,
        // A pod may reach itself through its Service.
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: layout.cni.ipamDir,
          ranges: [[{ subnet: podCIDR }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  };
}

/** Writes the CNI configuration of this instance, for containerd to find. Throws UserError when `podCIDR` is no IPv4 network. */
export async function writeCniConfig(layout: InstanceLayout, podCIDR: string): Promise<void> {
  if (!isPodCIDR(podCIDR)) {
    throw new UserError(
      `pod CIDR ${JSON.stringify(podCIDR)}: must be an IPv4 network with room for pods, as 10.244.0.0/24`,
    );
  }
  const { confDir, ipamDir } = layout.cni;
  await Promise.all([mkdir(confDir, { recursive: true }), mkdir(ipamDir, { recursive: true })]);
  const conflist = `${JSON.stringify(cniConfList(layout, podCIDR), null, 2)}\n`;
  await replaceFile(join(confDir, '10-kubelette.conflist'), conflist);
}

/** Whether `cidr` is an IPv4 network, its host bits zero, of /8 to /29. Pure. */
export function isPodCIDR(cidr: string): boolean {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (!match) return false;
  const [a, b, c, d, bits] = match.slice(1).map(Number) as [number, number, number, number, number];
  if ([a, b, c, d].some((octet) => octet > 255) || bits < 8 || bits > 29) return false;
  const address = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
  return address % 2 ** (32 - bits) === 0;
}

/**
 * Removes the bridge, the address leases and what libcni remembers of this instance's sandboxes. To be called once no sandbox runs,
 * and before containerd's root is removed, which knows them. Idempotent.
 */
export async function removeCniState(layout: InstanceLayout): Promise<void> {
  if (existsSync(`/sys/class/net/${layout.bridge}`)) {
    await promisify(execFile)('ip', ['link', 'delete', layout.bridge], { env: systemEnvironment() });
  }
  const sandboxes = await readdir(join(layout.containerd.root, 'io.containerd.grpc.v1.cri/sandboxes')).catch(() => []);
  // NETWORK-SANDBOX-INTERFACE; the loopback's network has the same name in every instance, hence by sandbox as well.
  const results = await readdir(CNI_RESULTS_DIR).catch(() => []);
  const ours = results.filter((name) => name.startsWith(`${layout.id}-`) || sandboxes.some((id) => name.includes(id)));
  await Promise.all([
    ...ours.map((name) => rm(join(CNI_RESULTS_DIR, name), { force: true })),
    rm(layout.cni.confDir, { recursive: true, force: true }),
    rm(layout.cni.ipamDir, { recursive: true, force: true }),
  ]);
}
