import { expect, test } from 'vitest';
import type { ServiceSpec } from './generated/types.ts';
import { serviceWarnings } from './service-warnings.ts';

const warnings = (spec: ServiceSpec, annotations?: Record<string, string>): string[] =>
  serviceWarnings({ metadata: { name: 's', ...(annotations ? { annotations } : {}) }, spec });

test.each<[ServiceSpec, string[]]>([
  [{ type: 'ClusterIP', clusterIP: '10.0.0.1', sessionAffinity: 'ClientIP' }, []],
  [
    { type: 'ClusterIP', externalIPs: ['1.2.3.4'], externalName: 'x', trafficDistribution: 'PreferClose' },
    [
      'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
      'spec.externalName is ignored when spec.type is not "ExternalName"',
      'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
    ],
  ],
  [
    {
      type: 'ClusterIP',
      clusterIP: 'None',
      loadBalancerIP: '1.2.3.4',
      externalIPs: ['1.2.3.4'],
      sessionAffinity: 'ClientIP',
    },
    [
      'spec.loadBalancerIP is ignored for headless services',
      'spec.externalIPs is ignored for headless services',
      'spec.SessionAffinity is ignored for headless services',
    ],
  ],
  [
    { type: 'ExternalName', externalName: 'x.y', externalIPs: ['1.2.3.4'] },
    ['spec.externalIPs is ignored when spec.type is "ExternalName"'],
  ],
])('%j', (spec, expected) => {
  expect(warnings(spec)).toEqual(expected);
});

test('an old annotation', () => {
  expect(warnings({}, { 'service.kubernetes.io/topology-aware-hints': 'auto' })).toEqual([
    'annotation service.kubernetes.io/topology-aware-hints is deprecated, please use service.kubernetes.io/topology-mode instead',
  ]);
});
