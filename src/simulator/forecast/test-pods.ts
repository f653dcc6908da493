import { applyDefaults } from '../../api/defaults.ts';
import type { Container, Pod, PodSpec } from '../../api/generated/types.ts';
import { PODS } from '../../api/resources.ts';
import { PodTargets, type Target } from './pod-targets.ts';

/** A pod for tests, with its defaults. */
export function podOf(name: string, spec: Partial<PodSpec>): Pod {
  const metadata = { name, namespace: 'default' };
  return applyDefaults(PODS, { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...spec } });
}

/** The only container of a pod. */
export function targetOf(container: Partial<Container>, spec: Partial<PodSpec> = {}): Target {
  const pod = podOf('p', { containers: [{ name: 'app', image: 'web', ...container }], ...spec });
  return new PodTargets([pod]).containers[0]!;
}
