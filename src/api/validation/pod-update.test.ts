import { describe, expect, test } from 'vitest';
import { decodeObject } from '../decode.ts';
import { applyDefaults } from '../defaults.ts';
import type { Pod } from '../generated/types.ts';
import { PODS } from '../resources.ts';
import { formatFieldError } from './field-error.ts';
import { validateUpdate } from './validate.ts';

const make = (spec: object): Pod =>
  applyDefaults(
    PODS,
    decodeObject<Pod>(PODS, {
      metadata: { name: 'p', namespace: 'n', uid: 'u' },
      spec: { containers: [{ name: 'c', image: 'x:1' }], ...spec },
    }).object,
  );

const change = (before: object, after: object): string[] =>
  validateUpdate(PODS, make(after), make(before)).map(formatFieldError);

test.each([
  [{}, {}],
  [{}, { containers: [{ name: 'c', image: 'x:2' }] }],
  [{ initContainers: [{ name: 'i', image: 'x:1' }] }, { initContainers: [{ name: 'i', image: 'x:2' }] }],
  [{}, { activeDeadlineSeconds: 5 }],
  [{ activeDeadlineSeconds: 5 }, { activeDeadlineSeconds: 4 }],
  [{}, { tolerations: [{ operator: 'Exists' }] }],
  [
    { tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 1 }] },
    { tolerations: [{ key: 'a', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 2 }] },
  ],
  [{ schedulingGates: [{ name: 'a' }, { name: 'b' }] }, { schedulingGates: [{ name: 'b' }] }],
  [{ terminationGracePeriodSeconds: -1 }, { terminationGracePeriodSeconds: 1 }],
  // Zero values and their absence mean the same.
  [{ hostname: '' }, { hostNetwork: false }],
])('%j may become %j', (before, after) => {
  expect(change(before, after)).toEqual([]);
});

describe('refused', () => {
  test.each([
    [
      { activeDeadlineSeconds: 5 },
      { activeDeadlineSeconds: 6 },
      'spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value',
    ],
    [
      { activeDeadlineSeconds: 5 },
      {},
      'spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value',
    ],
    [
      { tolerations: [{ operator: 'Exists' }] },
      {},
      'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
    ],
    [
      {},
      { initContainers: [{ name: 'i', image: 'x' }] },
      'spec.initContainers: Forbidden: pod updates may not add or remove containers',
    ],
    [
      {},
      { schedulingGates: [{ name: 'a' }] },
      "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a'",
    ],
  ])('%j to %j', (before, after, error) => {
    expect(change(before, after)).toContain(error);
  });

  test('anything else, with the difference', () => {
    expect(change({ restartPolicy: 'Always' }, { restartPolicy: 'Never' })).toEqual([
      [
        'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
        '@@ -35,7 +35,7 @@',
        '   }',
        '  ],',
        '  "EphemeralContainers": null,',
        '- "RestartPolicy": "Always",',
        '+ "RestartPolicy": "Never",',
        '  "TerminationGracePeriodSeconds": 30,',
        '  "ActiveDeadlineSeconds": null,',
        '  "DNSPolicy": "ClusterFirst",',
        '',
      ].join('\n'),
    ]);
  });

  test.each([
    [{ hostNetwork: true }],
    [{ securityContext: { runAsNonRoot: false } }],
    [{ volumes: [{ name: 'v', emptyDir: {} }] }],
    [{ containers: [{ name: 'c', image: 'x:1', resources: { limits: { cpu: '1' } } }] }],
    [{ containers: [{ name: 'c', image: 'x:1', readinessProbe: { tcpSocket: { port: 'web' } } }] }],
    [{ affinity: { nodeAffinity: {} } }],
    [{ nodeName: 'n' }],
  ])('%j', (after) => {
    expect(change({}, after)[0]).toMatch(/^spec: Forbidden: pod updates may not change fields other than .*\n@@/);
  });
});
