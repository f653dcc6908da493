import { expect, test } from 'vitest';
import { recordedAnswers } from '../../test/recorded-answers.ts';
import { decodeObject } from './decode.ts';
import { applyDefaults } from './defaults.ts';
import type { Pod } from './generated/types.ts';
import { PODS } from './resources.ts';
import { unsupportedPodFields } from './unsupported.ts';

function found(spec: object): string[] {
  const value = { metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'x' }], ...spec } };
  return unsupportedPodFields(applyDefaults(PODS, decodeObject<Pod>(PODS, value).object)).map(
    ({ field, refuse }) => `${refuse ? 'refuse' : 'warn'} ${field}`,
  );
}
const inContainer = (fields: object) => found({ containers: [{ name: 'c', image: 'x', ...fields }] });

test.each([
  [
    { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] },
    ['refuse spec.volumes[0].persistentVolumeClaim'],
  ],
  [{ volumes: [{ name: 'v', nfs: { server: 's', path: '/' } }] }, ['refuse spec.volumes[0].nfs']],
  [{ volumes: [{ name: 'v', emptyDir: { medium: 'HugePages' } }] }, ['refuse spec.volumes[0].emptyDir.medium']],
  [{ volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }] }, ['warn spec.volumes[0].emptyDir.sizeLimit']],
  [{ volumes: [{ name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }] }, []],
  [
    { volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }] },
    ['refuse spec.volumes[0].projected.sources[0].serviceAccountToken'],
  ],
  [{ runtimeClassName: 'gvisor' }, ['refuse spec.runtimeClassName']],
  [{ hostUsers: false }, ['refuse spec.hostUsers']],
  [{ resourceClaims: [{ name: 'a' }] }, ['refuse spec.resourceClaims']],
  [{ os: { name: 'windows' } }, ['refuse spec.os.name']],
  [{ securityContext: { seLinuxOptions: { level: 's0' } } }, ['refuse spec.securityContext.seLinuxOptions']],
  [
    { securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'x' } } },
    ['refuse spec.securityContext.appArmorProfile.localhostProfile'],
  ],
  [{ imagePullSecrets: [{ name: 's' }] }, ['warn spec.imagePullSecrets']],
  [{ schedulerName: 'mine' }, ['warn spec.schedulerName']],
  [{ affinity: { podAntiAffinity: {}, nodeAffinity: {} } }, ['warn spec.affinity.podAntiAffinity']],
  [
    { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'k', whenUnsatisfiable: 'DoNotSchedule' }] },
    ['warn spec.topologySpreadConstraints'],
  ],
])('%j', (spec, fields) => {
  expect(found(spec)).toEqual(fields);
});

test.each([
  [{ volumeDevices: [{ name: 'd', devicePath: '/dev/x' }] }, ['refuse spec.containers[0].volumeDevices']],
  [{ securityContext: { procMount: 'Unmasked' } }, ['refuse spec.containers[0].securityContext.procMount']],
  [
    { resources: { limits: { 'example.com/gpu': '1' } } },
    [
      'refuse spec.containers[0].resources.limits[example.com/gpu]',
      'refuse spec.containers[0].resources.requests[example.com/gpu]',
    ],
  ],
  [
    { resources: { requests: { 'ephemeral-storage': '1Gi' } } },
    ['warn spec.containers[0].resources.requests[ephemeral-storage]'],
  ],
])('in a container: %j', (fields, expected) => {
  expect(inContainer(fields)).toEqual(expected);
});

test.each([
  { hostNetwork: true, hostPID: true, dnsPolicy: 'None', dnsConfig: { nameservers: ['1.1.1.1'] } },
  {
    affinity: { nodeAffinity: {} },
    tolerations: [{ operator: 'Exists' }],
    nodeSelector: { a: 'b' },
    priorityClassName: 'x',
  },
  { runtimeClassName: '', hostUsers: true, os: { name: 'linux' } },
  {
    securityContext: {
      runAsUser: 1,
      fsGroup: 2,
      seccompProfile: { type: 'RuntimeDefault' },
      appArmorProfile: { type: 'Unconfined' },
    },
  },
  {
    volumes: [
      { name: 'v', emptyDir: { medium: 'Memory' } },
      { name: 'p', projected: { sources: [{ secret: { name: 's' } }] } },
    ],
  },
  {
    readinessGates: [{ conditionType: 'a/b' }],
    activeDeadlineSeconds: 5,
    hostAliases: [{ ip: '1.1.1.1', hostnames: ['a'] }],
  },
])('%j is carried out', (spec) => {
  expect(found(spec)).toEqual([]);
});

test('every recorded pod that was accepted is carried out', () => {
  for (const { name, body, code, path } of recordedAnswers()) {
    if (code === 201 && /\/pods(\?|$)/.test(path)) expect(found(body.spec), name).toEqual([]);
  }
});
