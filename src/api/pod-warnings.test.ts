import { expect, test } from 'vitest';
import { decodeObject } from './decode.ts';
import { applyDefaults } from './defaults.ts';
import type { ObjectMeta, Pod } from './generated/types.ts';
import { podWarnings } from './pod-warnings.ts';
import { PODS } from './resources.ts';

const warnings = (spec: object, metadata: ObjectMeta = { name: 'p' }): string[] =>
  podWarnings(applyDefaults(PODS, decodeObject<Pod>(PODS, { metadata, spec }).object));
const ofContainers = (...containers: object[]): string[] => warnings({ containers });
const ofVolume = (source: object): string[] => warnings({ volumes: [{ name: 'v', ...source }] });

test.each([
  [{}, []],
  [
    { nodeSelector: { 'beta.kubernetes.io/os': 'linux', toString: 'x' } },
    ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
  ],
  [
    { terminationGracePeriodSeconds: -1 },
    ['spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1'],
  ],
  [
    { hostAliases: [{ ip: '1.2.3.4' }, { ip: '1.2.3.4' }], imagePullSecrets: [{ name: 'a' }, { name: 'a' }, {}] },
    [
      'spec.hostAliases[1].ip: duplicate ip "1.2.3.4"',
      'spec.imagePullSecrets[1].name: duplicate name "a"',
      'spec.imagePullSecrets[2].name: invalid empty name ""',
    ],
  ],
  [
    {
      affinity: {
        nodeAffinity: {
          preferredDuringSchedulingIgnoredDuringExecution: [
            { weight: 1, preference: { matchExpressions: [{ key: 'k', operator: 'In', values: ['a b'] }] } },
          ],
        },
        podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: {} }] },
      },
      topologySpreadConstraints: [{ topologyKey: 'failure-domain.beta.kubernetes.io/zone' }],
    },
    [
      expect.stringMatching(
        /^spec\.affinity\.nodeAffinity\.preferredDuringSchedulingIgnoredDuringExecution\[0]\.preference\.matchExpressions\[0]\.values\[0]: a b is invalid, a valid label must be /,
      ),
      'spec.topologySpreadConstraints[0].topologyKey: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
      'spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod',
      'spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod',
    ],
  ],
])('%j', (spec, expected) => {
  expect(warnings(spec)).toEqual(expected);
});

test('names that make bad host names, and old annotations', () => {
  const annotations = { 'scheduler.alpha.kubernetes.io/critical-pod': '' };
  expect(warnings({}, { name: 'a.b', annotations })).toEqual([
    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
    'metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the "priorityClassName" field instead',
  ]);
});

test('a fraction of a byte, which is mostly a unit that was not meant', () => {
  expect(ofContainers({ resources: { limits: { memory: '1' }, requests: { memory: '100m', cpu: '100m' } } })).toEqual([
    'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
  ]);
});

test.each([
  [{ name: 'A', value: 'b' }, true],
  [{ name: 'A', value: '$(A)' }, true],
  [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }, true],
  [{ name: 'A', value: '$(A)b' }, false],
  [{ name: 'B', value: 'b' }, false],
])('a variable A that %j follows is hidden: %j', (second, hidden) => {
  const expected = 'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply';
  expect(ofContainers({ env: [{ name: 'A', value: 'a' }, second] })).toEqual(hidden ? [expected] : []);
});

test.each([
  [{ containerPort: 80 }, { containerPort: 80 }, 'duplicate'],
  [{ containerPort: 80 }, { containerPort: 80, hostPort: 8 }, 'overlapping'],
  [{ containerPort: 80, hostPort: 8 }, { containerPort: 80, hostPort: 8, hostIP: '1.2.3.4' }, 'dangerously ambiguous'],
  [{ containerPort: 80, hostPort: 8 }, { containerPort: 80, hostPort: 9 }, undefined],
  [{ containerPort: 80 }, { containerPort: 80, protocol: 'UDP' }, undefined],
])('ports %j and %j are %s', (a, b, how) => {
  const expected = `spec.containers[1].ports[0]: ${how} port definition with spec.containers[0].ports[0]`;
  expect(ofContainers({ ports: [a] }, { ports: [b] })).toEqual(how ? [expected] : []);
});

test('ports without a host port, and their names', () => {
  const ports = [{ name: 'x', containerPort: 80, hostIP: '1.2.3.4' }];
  expect(ofContainers({ ports }, { ports: [{ name: 'x', containerPort: 81 }] })).toEqual([
    'spec.containers[0].ports[0]: hostIP set without hostPort: {Name:x HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.2.3.4}',
    'spec.containers[1].ports[0]: duplicate port name "x" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]',
  ]);
});

test.each([
  [
    { configMap: { name: 'm', items: [{ path: 'a/' }, { path: 'a/b' }, { path: 'ab' }] } },
    ['volume "v" (ConfigMap "m"): overlapping paths: "a/b" with "a"'],
  ],
  [
    { secret: { secretName: 's', items: [{ path: 'a' }, { path: 'a' }] } },
    ['volume "v" (Secret "s"): overlapping paths: "a" with "a"'],
  ],
  [
    { downwardAPI: { items: [{ path: 'a/b' }, { path: 'a' }] } },
    ['volume "v" (DownwardAPI): overlapping paths: "a" with "a/b"'],
  ],
  [
    {
      projected: {
        sources: [
          {},
          { configMap: { name: 'm', items: [{ path: 'a' }] } },
          { downwardAPI: { items: [{ path: 'a' }] } },
        ],
      },
    },
    [
      'volume "v" (Projected) has no sources provided',
      'volume "v" (Projected): overlapping paths: "a" (DownwardAPI) with "a" (ConfigMap "m")',
    ],
  ],
])('volume %j', (source, expected) => {
  expect(ofVolume(source)).toEqual(expected);
});
