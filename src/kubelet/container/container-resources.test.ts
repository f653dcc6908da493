import { expect, test } from 'vitest';
import type { Container, Pod } from '../../api/generated/types.ts';
import { containerResources, oomScoreAdj } from './container-resources.ts';

const GIB = 1 << 30;

function pod(qosClass: string, ...containers: Container[]): Pod {
  return { metadata: { name: 'p' }, spec: { containers }, status: { qosClass: qosClass as 'Burstable' } };
}

test.each<[Container['resources'], number, number, number]>([
  [undefined, 2, 0, 0],
  [{ requests: { cpu: '1' } }, 1024, 0, 0],
  [{ requests: { cpu: '250m' } }, 256, 0, 0],
  [{ requests: { cpu: '1m' } }, 2, 0, 0],
  [{ requests: { cpu: '1000' } }, 262_144, 0, 0],
  [{ limits: { cpu: '500m' } }, 512, 50_000, 0],
  [{ limits: { cpu: 2, memory: '64Mi' }, requests: { cpu: '100m' } }, 102, 200_000, 67_108_864],
  [{ limits: { cpu: '1m' } }, 2, 1000, 0],
])('resources %o', (resources, shares, quota, memory) => {
  const container = { name: 'c', ...(resources ? { resources } : {}) };
  expect(containerResources(pod('Burstable', container), container, GIB, false)).toMatchObject({
    cpuShares: BigInt(shares),
    cpuPeriod: 100_000n,
    cpuQuota: BigInt(quota),
    memoryLimitInBytes: BigInt(memory),
  });
});

test('on cgroup v2 a container that is out of memory ends as a whole', () => {
  const container = { name: 'c' };
  const unified = (isUnified: boolean) =>
    containerResources(pod('Burstable', container), container, GIB, isUnified).unified;
  expect([unified(true), unified(false)]).toEqual([{ 'memory.oom.group': '1' }, {}]);
});

const asking = (memory: string): Container => ({ name: 'c', resources: { requests: { memory } } });

// Cases after pkg/kubelet/qos/policy_test.go.
test.each<[string, Container, number]>([
  ['Guaranteed', asking('1Gi'), -997],
  ['BestEffort', { name: 'c' }, 1000],
  ['Burstable', { name: 'c' }, 999],
  ['Burstable', asking('1Ki'), 999],
  ['Burstable', asking('256Mi'), 750],
  ['Burstable', asking('1Gi'), 3],
])('OOM score of %s, %o', (qosClass, container, score) => {
  expect(oomScoreAdj(pod(qosClass, container), container, GIB)).toBe(score);
});

test('a sidecar is not killed before the containers', () => {
  const sidecar: Container = { name: 'side', restartPolicy: 'Always' };
  const p = pod('Burstable', asking('512Mi'), { ...asking('256Mi'), name: 'd' });
  p.spec!.initContainers = [sidecar];
  expect(oomScoreAdj(p, sidecar, GIB)).toBe(750);
});

test('critical pods are like Guaranteed ones', () => {
  const p = pod('BestEffort', { name: 'c' });
  p.spec!.priorityClassName = 'system-node-critical';
  expect(oomScoreAdj(p, { name: 'c' }, GIB)).toBe(-997);
});
