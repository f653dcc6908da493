import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { errnoOf, messageOf, UserError } from '../../lib/errors.ts';
import type { InstanceLayout } from '../../lib/instance.ts';
import { isMissing, type RunNft, runCommand, runNft } from '../../lib/nft.ts';
import { firewallWarnings } from './firewall.ts';
import { MAPS } from './host-port-elements.ts';

const IP_FORWARD = '/proc/sys/net/ipv4/ip_forward';

/**
 * What the host does for its pods: forwards their packets, hides their addresses from the world behind its own (masquerade), and
 * leads host ports to them. All of it is one nft table, replaced as a whole without touching the host ports that stand.
 */
export class PodNetwork {
  private readonly layout: InstanceLayout;
  private readonly podCIDR: string;
  private readonly serviceCIDR: string;
  private readonly nft: RunNft;

  /** @param nft runs nft; another one in tests */
  constructor(layout: InstanceLayout, podCIDR: string, serviceCIDR: string, nft: RunNft = runNft) {
    this.layout = layout;
    this.podCIDR = podCIDR;
    this.serviceCIDR = serviceCIDR;
    this.nft = nft;
  }

  /**
   * Idempotent, also after a crash. Resolves with warnings: what will not work for pods on this host, and the command that mends it.
   * @throws UserError when nft is missing or not allowed
   */
  async setUp(): Promise<string[]> {
    await forwardPackets();
    await this.nft(['-f', '-'], podNetworkScript(this.layout, this.podCIDR, this.serviceCIDR));
    const warnings = await firewallWarnings(this.nft, this.layout.bridge);
    return warnings.map(({ text, mend }) => `${text}; mend it with: ${mend}`);
  }

  tearDown(): Promise<void> {
    return removePodNetwork(this.layout, this.nft);
  }
}

/** Removes the table and the bridge of an instance, whoever made them; what is not there is fine. */
export async function removePodNetwork(layout: InstanceLayout, nft: RunNft = runNft): Promise<void> {
  try {
    await nft(['delete', 'table', 'ip', layout.nftTable]);
  } catch (error) {
    // Who cannot use nft made no table. A bridge would tell of somebody who could.
    const neverThere = error instanceof UserError && !existsSync(`/sys/class/net/${layout.bridge}`);
    const notInstalled = ['ENOENT', 'EACCES'].includes(errnoOf((error as Error).cause) ?? '');
    if (!isMissing(error) && !notInstalled && !neverThere) throw error;
  }
  try {
    await runCommand('ip', ['link', 'delete', 'dev', layout.bridge]);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    if (!/Cannot find device/.test(messageOf(error))) throw error;
  }
}

/** The table as an nft script: one transaction. The maps' elements stay. Pure. */
export function podNetworkScript(
  { nftTable: table, bridge }: InstanceLayout,
  podCIDR: string,
  serviceCIDR: string,
): string {
  // The cluster's DNS has an address of the Services on this host, where a pod's host port must not take its place.
  const isHost = `ip daddr != ${serviceCIDR} fib daddr type local`;
  const hostPorts = [
    `${isHost} dnat ip to ip daddr . meta l4proto . th dport map @${MAPS.one}`,
    `${isHost} dnat ip to meta l4proto . th dport map @${MAPS.any}`,
  ];
  const chains = {
    guard: {
      hook: 'type filter hook prerouting priority raw; policy accept;',
      rules: [
        // Since route_localnet is on for the bridge, a pod could reach what listens on the host's 127.0.0.1 only (CVE-2020-8558).
        `iifname "${bridge}" ip daddr 127.0.0.0/8 drop`,
        `iifname "${bridge}" ip saddr 127.0.0.0/8 drop`,
        // What listens on the bridge (the API server, the cluster's DNS) is for these pods and the host. To Linux an address is the
        // host's whichever device a packet comes through.
        `iifname != { "lo", "${bridge}" } ip daddr { ${podCIDR}, ${serviceCIDR} } fib daddr type local drop`,
      ],
    },
    'from-outside': { hook: 'type nat hook prerouting priority -100; policy accept;', rules: hostPorts },
    'from-host': { hook: 'type nat hook output priority -100; policy accept;', rules: hostPorts },
    'hide-pods': {
      hook: 'type nat hook postrouting priority 100; policy accept;',
      rules: [
        `ip saddr ${podCIDR} ip daddr != { ${podCIDR}, 224.0.0.0/4 } oifname != "${bridge}" masquerade`,
        // A pod answers to these senders directly, past the host that has to translate the answer back.
        `oifname "${bridge}" ct status dnat ip saddr 127.0.0.0/8 masquerade`,
        `oifname "${bridge}" ct status dnat ip saddr ${podCIDR} fib saddr type != local masquerade`,
      ],
    },
  };
  const lines = [
    `add table ip ${table}`,
    `add map ip ${table} ${MAPS.any} { type inet_proto . inet_service : ipv4_addr . inet_service; }`,
    `add map ip ${table} ${MAPS.one} { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }`,
  ];
  for (const [name, { hook, rules }] of Object.entries(chains)) {
    lines.push(`add chain ip ${table} ${name} { ${hook} }`, `flush chain ip ${table} ${name}`);
    for (const rule of rules) lines.push(`add rule ip ${table} ${name} ${rule}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

async function forwardPackets(): Promise<void> {
  if ((await readFile(IP_FORWARD, 'utf8')).trim() === '1') return;
  try {
    await writeFile(IP_FORWARD, '1');
  } catch (error) {
    throw new UserError(`cannot turn on IPv4 forwarding, which pods need: ${messageOf(error)}`, {
      hint: 'sysctl -w net.ipv4.ip_forward=1',
      cause: error,
    });
  }
}
