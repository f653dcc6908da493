import { expect, test } from 'vitest';
import type { Node, Pod, SecurityContext } from '../../api/generated/types.ts';
import { findRejection } from './find-rejection.ts';
import { rejectedPodStatus } from './rejected-pod-status.ts';

const node = (spec: Node['spec'] = {}, status: Node['status'] = {}): Node => ({
  metadata: { name: 'n', labels: { disk: 'ssd' } },
  spec,
  status: { allocatable: { cpu: '2', memory: '1Gi', 'ephemeral-storage': '1Gi', pods: '3' }, ...status },
});
const pod = (uid: string, spec: Partial<Pod['spec']> = {}, labels: Record<string, string> = {}): Pod => ({
  metadata: { name: uid, uid, labels },
  spec: { containers: [], nodeName: 'n', ...spec },
});
const asking = (uid: string, requests: Record<string, string>, hostPort?: number): Pod =>
  pod(uid, {
    containers: [
      { name: 'c', resources: { requests }, ports: hostPort === undefined ? [] : [{ containerPort: 80, hostPort }] },
    ],
  });
const affinity = (key: string): Partial<Pod['spec']> => ({
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'Exists' }] }],
      },
    },
  },
});
const dying: Node['spec'] = { taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] };
const NOT_HERE = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";

test.each<[string, Pod, Pod[], Node, string | undefined]>([
  ['a plain pod', pod('p'), [], node(), undefined],
  ['what is left', asking('p', { cpu: '1500m' }), [asking('q', { cpu: '500m' })], node(), undefined],
  [
    'cpu',
    asking('p', { cpu: '64' }),
    [asking('q', { cpu: '100m' })],
    node(),
    "OutOfcpu: Node didn't have enough resource: cpu, requested: 64000, used: 100, capacity: 2000",
  ],
  [
    'memory',
    asking('p', { memory: '900Gi' }),
    [],
    node(),
    "OutOfmemory: Node didn't have enough resource: memory, requested: 966367641600, used: 0, capacity: 1073741824",
  ],
  [
    'disk',
    asking('p', { 'ephemeral-storage': '1Gi' }),
    [asking('q', { 'ephemeral-storage': '1' })],
    node(),
    "OutOfephemeral-storage: Node didn't have enough resource: ephemeral-storage, requested: 1073741824, used: 1, capacity: 1073741824",
  ],
  [
    'one pod too many, which is said first',
    asking('p', { cpu: '64' }),
    [pod('a'), pod('b'), pod('c')],
    node(),
    "OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
  ],
  [
    'cpu comes before memory',
    asking('p', { memory: '2Gi', cpu: '3' }),
    [],
    node(),
    "OutOfcpu: Node didn't have enough resource: cpu, requested: 3000, used: 0, capacity: 2000",
  ],
  ['a resource that the node does not know', asking('p', { 'example.com/gpu': '1' }), [], node(), undefined],
  ['a selector that fits', pod('p', { nodeSelector: { disk: 'ssd' } }), [], node(), undefined],
  ['a selector', pod('p', { nodeSelector: { no: 'where' } }), [], node(), `NodeAffinity: ${NOT_HERE}`],
  ['affinity that fits', pod('p', affinity('disk')), [], node(), undefined],
  ['affinity', pod('p', affinity('gpu')), [], node(), `NodeAffinity: ${NOT_HERE}`],
  [
    'a host port',
    asking('p', {}, 80),
    [asking('q', {}, 80)],
    node(),
    "NodePorts: Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
  ],
  ['another host port', asking('p', {}, 80), [asking('q', {}, 81)], node(), undefined],
  [
    'a taint',
    pod('p'),
    [],
    node(dying),
    "TaintToleration: Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
  ],
  ['a taint that is tolerated', pod('p', { tolerations: [{ operator: 'Exists' }] }), [], node(dying), undefined],
  [
    'a taint that is only the scheduler’s business',
    pod('p'),
    [],
    node({ unschedulable: true, taints: [{ key: 'k', effect: 'NoSchedule' }] }),
    undefined,
  ],
  [
    'another operating system',
    pod('p', { os: { name: 'windows' } }),
    [],
    node(),
    "PodOSNotSupported: Failed to admit pod as the OS field doesn't match node OS",
  ],
  [
    'a label of another operating system',
    pod('p', {}, { 'kubernetes.io/os': 'windows' }),
    [],
    node(),
    "PodOSSelectorNodeLabelDoesNotMatch: Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
  ],
  [
    'strict groups',
    pod('p', { securityContext: { supplementalGroupsPolicy: 'Strict' } }),
    [],
    node(),
    'SupplementalGroupsPolicyNotSupported: SupplementalGroupsPolicy=Strict is not supported in this node',
  ],
  [
    'strict groups where they are known',
    pod('p', { securityContext: { supplementalGroupsPolicy: 'Strict' } }),
    [],
    node({}, { features: { supplementalGroupsPolicy: true } }),
    undefined,
  ],
])('%s', (_, wanting, others, where, expected) => {
  const found = findRejection(wanting, where, others, true);
  expect(found && `${found.reason}: ${found.message}`).toBe(expected);
});

const profile = (type: 'RuntimeDefault' | 'Unconfined'): SecurityContext => ({ appArmorProfile: { type } });
test.each<[Partial<Pod['spec']>, boolean]>([
  [{}, true],
  [{ securityContext: profile('Unconfined') }, true],
  [{ securityContext: profile('RuntimeDefault') }, false],
  [{ containers: [{ name: 'c', securityContext: profile('RuntimeDefault') }] }, false],
  [{ initContainers: [{ name: 'c', securityContext: profile('RuntimeDefault') }] }, false],
])('without AppArmor on the host: %o', (spec, isAdmitted) => {
  const why = 'Cannot enforce AppArmor: AppArmor is not enabled on the host';
  expect(findRejection(pod('p', spec), node(), [], false)).toEqual(
    isAdmitted ? undefined : { reason: 'AppArmor', message: why },
  );
  expect(findRejection(pod('p', spec), node(), [], true)).toBeUndefined();
});

test('the status of a rejected pod says no more than that', () => {
  const waiting: Pod = {
    ...asking('p', { cpu: '64' }),
    status: {
      phase: 'Pending',
      qosClass: 'Burstable',
      conditions: [
        { type: 'PodScheduled', status: 'True' },
        { type: 'example.com/gate', status: 'True' },
      ],
    },
  };
  waiting.metadata.generation = 1;
  expect(rejectedPodStatus(waiting, { reason: 'OutOfcpu', message: 'too much' }, 0)).toEqual({
    observedGeneration: 1,
    phase: 'Failed',
    reason: 'OutOfcpu',
    message: 'Pod was rejected: too much',
    startTime: '1970-01-01T00:00:00Z',
    qosClass: 'Burstable',
    conditions: [{ type: 'example.com/gate', status: 'True' }],
  });
});
