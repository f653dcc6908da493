import { expect, test } from 'vitest';
import type { Node, Pod } from '../api/generated/types.ts';
import { chooseNode } from './choose-node.ts';

const node = (name: string, labels: Record<string, string> = {}, spec: Node['spec'] = {}): Node => ({
  metadata: { name, labels },
  spec,
});
const pod = (spec: Partial<Pod['spec']> = {}): Pod => ({ metadata: { name: 'p' }, spec: { containers: [], ...spec } });
const affinity = (...terms: object[]): Partial<Pod['spec']> => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } } },
});
const NO_MATCH = { unschedulable: "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector." };

const ssd = node('n', { disk: 'ssd', size: '4' });
const tainted = node('n', {}, { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] });
const cordoned = node('n', {}, { unschedulable: true });

test.each<[string, Pod, Node[], ReturnType<typeof chooseNode>]>([
  ['no node', pod(), [], { unschedulable: 'no nodes available to schedule pods' }],
  ['one node', pod(), [ssd], { node: 'n' }],
  ['the first by name', pod(), [node('b'), node('a')], { node: 'a' }],
  ['a selector that fits', pod({ nodeSelector: { disk: 'ssd' } }), [ssd], { node: 'n' }],
  ['a selector that does not', pod({ nodeSelector: { no: 'where' } }), [ssd], NO_MATCH],
  [
    'affinity: any term',
    pod(
      affinity(
        { matchExpressions: [{ key: 'disk', operator: 'DoesNotExist' }] },
        { matchExpressions: [{ key: 'size', operator: 'Gt', values: ['3'] }] },
      ),
    ),
    [ssd],
    { node: 'n' },
  ],
  [
    'affinity: every expression',
    pod(
      affinity({
        matchExpressions: [
          { key: 'disk', operator: 'In', values: ['ssd'] },
          { key: 'size', operator: 'Lt', values: ['3'] },
        ],
      }),
    ),
    [ssd],
    NO_MATCH,
  ],
  [
    'affinity: by name',
    pod(affinity({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n'] }] })),
    [ssd],
    { node: 'n' },
  ],
  ['affinity: an empty term', pod(affinity({})), [ssd], NO_MATCH],
  ['a taint', pod(), [tainted], { unschedulable: '0/1 nodes are available: 1 node(s) had untolerated taint(s).' }],
  [
    'a taint that is tolerated',
    pod({ tolerations: [{ key: 'k', operator: 'Equal', value: 'v' }] }),
    [tainted],
    { node: 'n' },
  ],
  [
    'another value',
    pod({ tolerations: [{ key: 'k', value: 'w' }] }),
    [tainted],
    { unschedulable: '0/1 nodes are available: 1 node(s) had untolerated taint(s).' },
  ],
  [
    'a taint that only discourages',
    pod(),
    [node('n', {}, { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] })],
    { node: 'n' },
  ],
  ['cordoned', pod(), [cordoned], { unschedulable: '0/1 nodes are available: 1 node(s) were unschedulable.' }],
  ['cordoned, but everything is tolerated', pod({ tolerations: [{ operator: 'Exists' }] }), [cordoned], { node: 'n' }],
  [
    'every node has its reason',
    pod({ nodeSelector: { a: 'b' } }),
    [cordoned, node('m'), node('o')],
    {
      unschedulable:
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector.",
    },
  ],
])('%s', (_, wanting, nodes, expected) => {
  expect(chooseNode(wanting, nodes, [])).toEqual(expected);
});

const requesting = (cpu: string, memory = '0'): Pod =>
  pod({ containers: [{ name: 'c', resources: { requests: { cpu, memory } } }] });
const on = (other: Pod, phase?: string): Pod =>
  ({ ...other, spec: { ...other.spec, nodeName: 'n' }, ...(phase ? { status: { phase } } : {}) }) as Pod;
const sized: Node = { ...node('n'), status: { allocatable: { cpu: '2', memory: '1Gi', pods: '3' } } as Node['status'] };
const port = (hostPort: number, protocol: 'TCP' | 'UDP' = 'TCP', hostIP = ''): Pod =>
  pod({ containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort, protocol, hostIP }] }] });

test.each<[string, Pod, Pod[], string | undefined]>([
  ['enough', requesting('1500m', '1Gi'), [on(requesting('500m'))], undefined],
  [
    'too little of both',
    requesting('1501m', '2Gi'),
    [on(requesting('500m'))],
    '1 Insufficient cpu, 1 Insufficient memory',
  ],
  [
    'who has finished takes nothing',
    requesting('2'),
    [on(requesting('2'), 'Succeeded'), on(requesting('2'), 'Failed')],
    undefined,
  ],
  [
    'who is elsewhere takes nothing',
    requesting('2'),
    [{ ...requesting('2'), spec: { ...requesting('2').spec, nodeName: 'm' } }],
    undefined,
  ],
  ['too many', pod(), [on(pod()), on(pod()), on(pod())], '1 Too many pods'],
  ['a port that is taken', port(80), [on(port(80))], "1 node(s) didn't have free ports for the requested pod ports"],
  ['another protocol', port(80), [on(port(80, 'UDP'))], undefined],
  ['another address', port(80, 'TCP', '127.0.0.1'), [on(port(80, 'TCP', '127.0.0.2'))], undefined],
  [
    'one address of all',
    port(80, 'TCP', '127.0.0.1'),
    [on(port(80, 'TCP', '0.0.0.0'))],
    "1 node(s) didn't have free ports for the requested pod ports",
  ],
])('room: %s', (_, wanting, placed, refusal) => {
  expect(chooseNode(wanting, [sized], placed)).toEqual(
    refusal === undefined ? { node: 'n' } : { unschedulable: `0/1 nodes are available: ${refusal}.` },
  );
});
