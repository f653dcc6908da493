import { describe, expect, test } from 'vitest';
import type { Container, Pod, PodSpec } from './generated/types.ts';
import { aggregateContainerResources, effectiveGracePeriod, isSidecar, podResources } from './pod-resources.ts';
import { computeQOSClass, qosClassOf } from './qos.ts';
import { formatQuantity } from './quantity.ts';

const needs = (cpu: string | undefined, fields: object = {}): Container =>
  ({ name: 'c', ...(cpu ? { resources: { requests: { cpu } } } : {}), ...fields }) as Container;
const sidecar = (cpu: string) => needs(cpu, { restartPolicy: 'Always' });

describe('effective requests', () => {
  test.each([
    ['the sum of the app containers', [], [needs('1'), needs('500m')], '1500m'],
    ['the largest init container', [needs('3'), needs('2')], [needs('1')], '3'],
    ['sidecars count with the app containers', [sidecar('1')], [needs('1')], '2'],
    ['an init container beside the sidecars before it', [sidecar('1'), needs('2'), sidecar('1')], [needs('1')], '3'],
    ['a sidecar after it does not count', [needs('3'), sidecar('1')], [needs('1')], '3'],
  ])('%s', (_name, initContainers, containers, cpu) => {
    const totals = aggregateContainerResources({ initContainers, containers } as PodSpec, 'requests');
    expect(formatQuantity(totals.cpu!)).toBe(cpu);
  });

  test('pod-level resources replace, overhead adds', () => {
    const pod = {
      metadata: {},
      spec: {
        containers: [{ name: 'c', resources: { requests: { cpu: '1', memory: '1Gi' } } }],
        resources: { requests: { cpu: '3' } },
        overhead: { cpu: '250m', memory: '1Gi' },
      },
    } as unknown as Pod;
    const { cpu, memory } = podResources(pod, 'requests');
    expect([formatQuantity(cpu!), formatQuantity(memory!)]).toEqual(['3250m', '2Gi']);
    expect(podResources(pod, 'limits')).toEqual({});
  });
});

describe('QoS class', () => {
  const both = (cpu: string, memory: string) => ({ cpu, memory });
  const pod = (...resources: object[]): Pod =>
    ({
      metadata: {},
      spec: { containers: resources.map((r, i) => ({ name: `c${i}`, resources: r })) },
    }) as unknown as Pod;
  test.each([
    ['BestEffort', [{}]],
    ['BestEffort', [{ requests: both('0', '0') }]],
    ['Guaranteed', [{ limits: both('1', '1Gi'), requests: both('1', '1Gi') }]],
    ['Guaranteed', [{ limits: both('1', '1Gi'), requests: both('1000m', '1024Mi') }]],
    ['Burstable', [{ limits: both('2', '1Gi'), requests: both('1', '1Gi') }]],
    ['Burstable', [{ limits: { cpu: '1' }, requests: { cpu: '1' } }]],
    ['Burstable', [{ limits: both('1', '1Gi'), requests: both('1', '1Gi') }, {}]],
    ['BestEffort', [{ limits: { 'example.com/x': '1' } }]],
  ] as const)('%s: %j', (expected, resources) => {
    expect(computeQOSClass(pod(...resources))).toBe(expected);
  });

  test('init containers count', () => {
    const guaranteed = pod({ limits: both('1', '1Gi'), requests: both('1', '1Gi') });
    guaranteed.spec.initContainers = [{ name: 'i' }];
    expect(computeQOSClass(guaranteed)).toBe('Burstable');
  });

  test('the pod as a whole decides when it says', () => {
    const whole = pod({});
    whole.spec.resources = { limits: both('1', '1Gi'), requests: both('1', '1Gi') };
    expect(computeQOSClass(whole)).toBe('Guaranteed');
  });

  test('the published class stays', () => {
    expect(qosClassOf({ ...pod({}), status: { qosClass: 'Burstable' } })).toBe('Burstable');
    expect(qosClassOf(pod({}))).toBe('BestEffort');
  });
});

test('sidecars and grace periods', () => {
  expect([isSidecar({}), isSidecar({ restartPolicy: 'Always' }), isSidecar({ restartPolicy: 'Never' })]).toEqual([
    false,
    true,
    false,
  ]);
  const pod = (metadata: object, spec: object) => ({ metadata, spec: { containers: [], ...spec } }) as unknown as Pod;
  expect(effectiveGracePeriod(pod({}, {}))).toBe(30);
  expect(effectiveGracePeriod(pod({}, { terminationGracePeriodSeconds: 5 }))).toBe(5);
  expect(effectiveGracePeriod(pod({ deletionGracePeriodSeconds: 0 }, { terminationGracePeriodSeconds: 5 }))).toBe(0);
});
