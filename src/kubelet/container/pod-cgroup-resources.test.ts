import { expect, test } from 'vitest';
import type { Container, Pod, ResourceRequirements } from '../../api/generated/types.ts';
import { burstableShares, cpuWeight, podCgroupResources } from './pod-cgroup-resources.ts';

const container = (resources: ResourceRequirements, more: Partial<Container> = {}): Container => ({
  name: 'c',
  resources,
  ...more,
});
const pod = (containers: ResourceRequirements[], initContainers: Container[] = []): Pod => ({
  metadata: { name: 'p' },
  spec: { containers: containers.map((resources) => container(resources)), initContainers },
});
const MIB = 1 << 20;

// As a kubelet 1.36.2 set them.
test.each<[string, Pod, object]>([
  ['nothing asked for', pod([{}]), { cpuShares: 2 }],
  ['a request', pod([{ requests: { cpu: '100m', memory: '64Mi' } }]), { cpuShares: 102 }],
  [
    'equal limits',
    pod([
      { requests: { cpu: '300m', memory: '50Mi' }, limits: { cpu: '300m', memory: '50Mi' } },
      { requests: { cpu: '1', memory: '10Mi' }, limits: { cpu: '1', memory: '10Mi' } },
    ]),
    { cpuShares: 1331, cpuQuotaUs: 130_000, memoryLimit: 60 * MIB },
  ],
  [
    'limits of some containers',
    pod([{ requests: { cpu: '250m', memory: '1Mi' }, limits: { cpu: '250m', memory: '2Mi' } }, {}]),
    { cpuShares: 256 },
  ],
  [
    'a limit that every container has',
    pod([{ requests: { memory: '1Mi' }, limits: { memory: '2Mi' } }, { limits: { memory: '3Mi' } }]),
    { cpuShares: 2, memoryLimit: 5 * MIB },
  ],
  [
    'an init container without limits',
    pod([{ requests: { memory: '1Mi' }, limits: { memory: '2Mi' } }], [container({})]),
    { cpuShares: 2 },
  ],
  [
    'an init container that needs more, beside a sidecar',
    pod(
      [{ requests: { cpu: '100m' }, limits: { cpu: '100m' } }],
      [
        container({ requests: { cpu: '200m' }, limits: { cpu: '200m' } }, { restartPolicy: 'Always' }),
        container({ requests: { cpu: '500m' }, limits: { cpu: '500m' } }),
      ],
    ),
    { cpuShares: 716, cpuQuotaUs: 70_000 },
  ],
])('the cgroup of a pod: %s', (_, p, resources) => {
  expect(podCgroupResources(p)).toEqual(resources);
});

test('Burstable pods together weigh what they ask for', () => {
  const guaranteed = pod([{ requests: { cpu: '3', memory: '1Mi' }, limits: { cpu: '3', memory: '1Mi' } }]);
  const burstable = pod([{ requests: { cpu: '125m' } }]);
  expect(burstableShares([guaranteed, burstable, burstable, pod([{}])])).toBe(256);
  expect(burstableShares([])).toBe(2);
});

test.each([
  [2, 1],
  [1024, 39],
  [262_144, 10_000],
])('%d shares are a weight of %d', (shares, weight) => {
  expect(cpuWeight(shares)).toBe(weight);
});
