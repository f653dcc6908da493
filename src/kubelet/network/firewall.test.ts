import { expect, test } from 'vitest';
import { firewallWarnings } from './firewall.ts';

const chain = (family: string, table: string, name: string, hook: string, policy: string) => ({
  chain: { family, table, name, handle: 1, type: 'filter', hook, prio: 0, policy },
});
/** @param rules what is listed of each chain */
const nftWith =
  (chains: object[], rules = '') =>
  async (args: readonly string[]): Promise<string> =>
    args.includes('chains') ? JSON.stringify({ nftables: [{ metainfo: {} }, ...chains] }) : rules;

test('chains that drop by default are named, with the command for their kind', async () => {
  const chains = [
    chain('ip', 'filter', 'FORWARD', 'forward', 'drop'),
    chain('ip', 'filter', 'INPUT', 'input', 'drop'),
    chain('inet', 'fw', 'in', 'input', 'drop'),
  ];
  const found = await firewallWarnings(nftWith(chains), 'kl0');
  expect(found.map(({ text }) => text)).toEqual([
    "this host's firewall drops forwarded packets (policy of the chain ip filter FORWARD): unless a rule of it says otherwise, pods cannot reach the world, nor the world pods",
    "this host's firewall drops packets to this host (policy of the chain ip filter INPUT): unless a rule of it says otherwise, pods cannot reach it, the DNS of the cluster and the API server",
    "this host's firewall drops packets to this host (policy of the chain inet fw in): unless a rule of it says otherwise, pods cannot reach it, the DNS of the cluster and the API server",
  ]);
  expect(found.map(({ mend }) => mend)).toEqual([
    'iptables -I FORWARD -i kl0 -j ACCEPT && iptables -I FORWARD -o kl0 -j ACCEPT',
    'iptables -I INPUT -i kl0 -j ACCEPT',
    `nft 'insert rule inet fw in iifname "kl0" accept'`,
  ]);
});

test.each([
  ['accepts by default', [chain('ip', 'filter', 'FORWARD', 'forward', 'accept')], ''],
  ['is for what the host sends', [chain('ip', 'filter', 'OUTPUT', 'output', 'drop')], ''],
  ['is for IPv6', [chain('ip6', 'filter', 'FORWARD', 'forward', 'drop')], ''],
  ['has a rule about the bridge', [chain('ip', 'filter', 'FORWARD', 'forward', 'drop')], 'iifname "kl0" accept'],
])('no word of a chain that %s', async (_, chains, rules) => {
  expect(await firewallWarnings(nftWith(chains, rules), 'kl0')).toEqual([]);
});
