import type { Pod } from '../../api/generated/types.ts';
import type { Fact } from '../fact.ts';
import { containerSpec } from '../sim-node.ts';

/**
 * Follows facts, and says of which pod (and in which sandbox) all containers begin anew with this one: the one whose end demanded it
 * (action RestartAllContainers) is removed, as the last.
 */
export function followBeginnings(): (
  fact: Fact,
) => { readonly podUID: string; readonly sandboxId: string } | undefined {
  const pods = new Map<string, Pod>();
  const triggers = new Set<string>();
  return (fact) => {
    if (fact.what === 'written' && fact.collection === 'pods') pods.set(fact.object.metadata.uid!, fact.object as Pod);
    if (fact.what === 'containerExited') {
      const { restartPolicyRules = [] } = containerSpec(pods.get(fact.podUID), fact.container) ?? {};
      const rule = restartPolicyRules.find((r) => r.exitCodes?.values?.includes(fact.exitCode));
      if (rule?.action === 'RestartAllContainers') triggers.add(fact.containerId);
    }
    return fact.what === 'containerRemoved' && triggers.delete(fact.containerId) ? fact : undefined;
  };
}
