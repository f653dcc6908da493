import { expect, test } from 'vitest';
import type { Container, Pod } from '../../api/generated/types.ts';
import { MountPropagation, NamespaceMode } from '../../cri/generated/cri.ts';
import type { NodeSettings } from '../ports.ts';
import { generateContainerConfig, volumeMount } from './generate-container-config.ts';
import { generateSandboxConfig } from './generate-sandbox-config.ts';

const settings: NodeSettings = {
  nodeName: 'n',
  hostIP: '192.0.2.1',
  podsDir: '/r/pods',
  podLogsDir: '/r/logs',
  cgroupParent: '/kubelette/kl-1',
  resolvConf: '/etc/resolv.conf',
  clusterDNS: [],
  clusterDomain: 'cluster.local',
  memoryCapacityBytes: 1 << 30,
};
const dns = { servers: ['192.0.2.53'], searches: [], options: [] };

const app: Container = {
  name: 'app',
  image: 'busybox',
  command: ['sh', '-c', 'echo $(A)'],
  args: ['$(B)', '$$(A)'],
  workingDir: '/w',
  stdin: true,
  stdinOnce: true,
  tty: true,
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
  lifecycle: { preStop: { exec: { command: ['true'] } } },
};
const pod: Pod = {
  metadata: { name: 'p', namespace: 'ns', uid: 'u', labels: { app: 'x' }, annotations: { note: 'y' } },
  spec: {
    containers: [app],
    terminationGracePeriodSeconds: 7,
    securityContext: { sysctls: [{ name: 'net/ipv4/ip_unprivileged_port_start', value: '80' }] },
  },
  status: { qosClass: 'Burstable' },
};

test('a sandbox', () => {
  expect(generateSandboxConfig(pod, 2, settings, dns)).toMatchObject({
    metadata: { name: 'p', namespace: 'ns', uid: 'u', attempt: 2 },
    hostname: 'p',
    logDirectory: '/r/logs/ns_p_u',
    dnsConfig: dns,
    portMappings: [],
    labels: {
      app: 'x',
      'io.kubernetes.pod.name': 'p',
      'io.kubernetes.pod.namespace': 'ns',
      'io.kubernetes.pod.uid': 'u',
    },
    annotations: { note: 'y' },
    linux: {
      cgroupParent: '/kubelette/kl-1/burstable/podu',
      sysctls: { 'net.ipv4.ip_unprivileged_port_start': '80' },
    },
  });
});

test.each([
  ['Guaranteed', '/kubelette/kl-1/podu'],
  ['BestEffort', '/kubelette/kl-1/besteffort/podu'],
])('the cgroup of a %s pod', (qosClass, cgroup) => {
  const p: Pod = { ...pod, status: { qosClass: qosClass as 'Guaranteed' } };
  expect(generateSandboxConfig(p, 0, settings, dns).linux!.cgroupParent).toBe(cgroup);
});

test("on the host's network there is no host name of its own", () => {
  const p: Pod = { ...pod, spec: { ...pod.spec!, hostNetwork: true } };
  const config = generateSandboxConfig(p, 0, settings, dns);
  expect(config.hostname).toBe('');
  expect(config.linux!.securityContext!.namespaceOptions!.network).toBe(NamespaceMode.NODE);
});

test('a container', () => {
  const config = generateContainerConfig({
    pod,
    container: app,
    restartCount: 3,
    imageRef: 'sha256:1',
    env: new Map([
      ['A', 'a'],
      ['B', 'b'],
    ]),
    mounts: [],
    memoryCapacityBytes: 1 << 30,
  });
  expect(config).toMatchObject({
    metadata: { name: 'app', attempt: 3 },
    image: { image: 'sha256:1', userSpecifiedImage: 'busybox' },
    command: ['sh', '-c', 'echo a'],
    args: ['b', '$(A)'],
    workingDir: '/w',
    envs: [
      { key: 'A', value: 'a' },
      { key: 'B', value: 'b' },
    ],
    labels: {
      'io.kubernetes.pod.name': 'p',
      'io.kubernetes.pod.namespace': 'ns',
      'io.kubernetes.pod.uid': 'u',
      'io.kubernetes.container.name': 'app',
    },
    annotations: {
      'io.kubernetes.container.restartCount': '3',
      'io.kubernetes.container.terminationMessagePath': '/dev/termination-log',
      'io.kubernetes.container.terminationMessagePolicy': 'File',
      'io.kubernetes.pod.terminationGracePeriod': '7',
      'io.kubernetes.container.preStopHandler': '{"exec":{"command":["true"]}}',
    },
    logPath: 'app/3.log',
    stdin: true,
    stdinOnce: true,
    tty: true,
  });
  expect(config.annotations['io.kubernetes.container.hash']).toMatch(/^[0-9a-f]{8}$/);
});

test('mounts', () => {
  expect(volumeMount({ name: 'v', mountPath: 'a/b' }, '/host', false)).toMatchObject({
    containerPath: '/a/b',
    hostPath: '/host',
    readonly: false,
    propagation: MountPropagation.PROPAGATION_PRIVATE,
  });
  expect(volumeMount({ name: 'v', mountPath: '/a' }, '/host', true).readonly).toBe(true);
  expect(
    volumeMount({ name: 'v', mountPath: '/a', readOnly: true, mountPropagation: 'Bidirectional' }, '/host', false),
  ).toMatchObject({ readonly: true, propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL });
});
