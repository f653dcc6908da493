import type { Container, ContainerRestartRule, Pod } from '../../api/generated/types.ts';

/** The policy that holds for this container: its own, else the pod's. Init containers know `Always` as "until it succeeds". */
export function effectiveRestartPolicy(pod: Pod, container: Container): 'Always' | 'OnFailure' | 'Never' {
  const policy = container.restartPolicy ?? pod.spec.restartPolicy ?? 'Always';
  return policy === 'Never' || policy === 'OnFailure' ? policy : 'Always';
}

export type ExitDecision = 'stay' | 'restart' | 'restartAllContainers';

/**
 * What an exit by itself leads to: the container's restartPolicyRules in order, then its policy, then the pod's.
 * Kills by probes do not come here; they ignore the rules.
 */
export function decideOnExit(pod: Pod, container: Container, exitCode: number): ExitDecision {
  for (const rule of container.restartPolicyRules ?? []) {
    if (!ruleMatches(rule, exitCode)) continue;
    return rule.action === 'RestartAllContainers' ? 'restartAllContainers' : 'restart';
  }
  const policy = effectiveRestartPolicy(pod, container);
  if (policy === 'Always') return 'restart';
  return policy === 'OnFailure' && exitCode !== 0 ? 'restart' : 'stay';
}

/** Whether the end of some container of the pod may demand that all start anew. */
export function mayRestartAll(pod: Pod): boolean {
  const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
  return containers.some((c) => c.restartPolicyRules?.some((r) => r.action === 'RestartAllContainers'));
}

function ruleMatches(rule: ContainerRestartRule, exitCode: number): boolean {
  if (!rule.exitCodes) return false;
  const listed = rule.exitCodes.values?.includes(exitCode) ?? false;
  return rule.exitCodes.operator === 'NotIn' ? !listed : listed;
}
