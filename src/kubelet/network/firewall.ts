import { isMissing, type RunNft } from '../../lib/nft.ts';

/** What somebody else's firewall does to pods, and the command that mends it. */
export interface FirewallWarning {
  readonly text: string;
  readonly mend: string;
}

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/**
 * The chains that drop whatever none of their rules accepts (Docker's, ufw's), and have no rule about the pods' bridge. Our table cannot
 * overrule them: what one chain drops is gone. Rules of iptables-legacy are not seen.
 * @throws UserError when nft is missing or not allowed
 */
export async function firewallWarnings(nft: RunNft, bridge: string): Promise<FirewallWarning[]> {
  const { nftables } = JSON.parse(await nft(['-j', 'list', 'chains'])) as { nftables: { chain?: Chain }[] };
  const found: FirewallWarning[] = [];
  for (const { chain } of nftables) {
    if (chain?.policy !== 'drop' || !['ip', 'inet'].includes(chain.family)) continue;
    if (chain.hook !== 'forward' && chain.hook !== 'input') continue;
    if (!(await names(nft, chain, bridge))) found.push(warningOf(chain, chain.hook, bridge));
  }
  return found;
}

async function names(nft: RunNft, { family, table, name }: Chain, bridge: string): Promise<boolean> {
  try {
    return (await nft(['list', 'chain', family, table, name])).includes(`"${bridge}"`);
  } catch (error) {
    // It went between two looks.
    if (isMissing(error)) return true;
    throw error;
  }
}

function warningOf({ family, table, name }: Chain, hook: 'forward' | 'input', bridge: string): FirewallWarning {
  const [what, why] =
    hook === 'forward'
      ? ['forwarded packets', 'pods cannot reach the world, nor the world pods']
      : ['packets to this host', 'pods cannot reach it, the DNS of the cluster and the API server'];
  const flags = hook === 'forward' ? (['i', 'o'] as const) : (['i'] as const);
  const isOfIptables = family === 'ip' && table === 'filter' && name === hook.toUpperCase();
  const commands = flags.map((flag) =>
    isOfIptables
      ? `iptables -I ${name} -${flag} ${bridge} -j ACCEPT`
      : `nft 'insert rule ${family} ${table} ${name} ${flag}ifname "${bridge}" accept'`,
  );
  return {
    text: `this host's firewall drops ${what} (policy of the chain ${family} ${table} ${name}): unless a rule of it says otherwise, ${why}`,
    mend: commands.join(' && '),
  };
}
