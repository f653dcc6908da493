import { describe, expect, test } from 'vitest';
import { decodeObject } from '../decode.ts';
import { applyDefaults } from '../defaults.ts';
import type { Pod } from '../generated/types.ts';
import { PODS } from '../resources.ts';
import { formatFieldError } from './field-error.ts';
import { validate } from './validate.ts';

function errorsOf(spec: object, metadata: object = {}): string[] {
  const value = { metadata: { name: 'p', namespace: 'n', ...metadata }, spec };
  return validate(PODS, applyDefaults(PODS, decodeObject<Pod>(PODS, value).object)).map(formatFieldError);
}

const C = { name: 'c', image: 'x' };
const withContainer = (fields: object) => errorsOf({ containers: [{ ...C, ...fields }] });
const withSpec = (fields: object) => errorsOf({ containers: [C], ...fields });
const withVolume = (volume: object) => withSpec({ volumes: [{ name: 'v', ...volume }] });

test('a pod that uses much of what there is passes', () => {
  const probe = { exec: { command: ['true'] } };
  expect(
    errorsOf({
      containers: [
        {
          ...C,
          ports: [
            { name: 'web', containerPort: 80 },
            { containerPort: 53, protocol: 'UDP', hostPort: 53 },
          ],
          env: [
            { name: 'A', value: '$(B)' },
            { name: 'B', valueFrom: { fieldRef: { fieldPath: "metadata.labels['x']" } } },
            { name: 'C', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
            { name: 'D', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
          ],
          envFrom: [{ prefix: 'P_', configMapRef: { name: 'cm' } }],
          volumeMounts: [
            { name: 'v', mountPath: '/a', subPath: 'b' },
            { name: 'd', mountPath: '/d', readOnly: true },
          ],
          livenessProbe: { httpGet: { port: 'web' } },
          readinessProbe: { ...probe, successThreshold: 3 },
          lifecycle: { preStop: { sleep: { seconds: 3 } } },
          restartPolicy: 'Never',
          restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [3] } }],
          securityContext: { runAsUser: 1, capabilities: { add: ['NET_ADMIN'] }, allowPrivilegeEscalation: false },
        },
      ],
      initContainers: [
        { name: 'i', image: 'x' },
        { name: 's', image: 'x', restartPolicy: 'Always', startupProbe: probe },
      ],
      volumes: [
        { name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
        { name: 'd', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
      ],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }],
          },
        },
      },
      tolerations: [{ operator: 'Exists' }],
      dnsConfig: { nameservers: ['1.1.1.1'], searches: ['a_b.example.com', '.'], options: [{ name: 'ndots' }] },
      hostAliases: [{ ip: '::1', hostnames: ['a.b'] }],
      securityContext: { sysctls: [{ name: 'net.ipv4.tcp_syncookies', value: '1' }], fsGroup: 1 },
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }],
    }),
  ).toEqual([]);
});

describe('containers', () => {
  const at = 'spec.containers[0]';
  test.each([
    [{ image: '' }, [`${at}.image: Required value`]],
    [{ image: ' x' }, [`${at}.image: Invalid value: " x": must not have leading or trailing whitespace`]],
    [
      { imagePullPolicy: 'Maybe' },
      [`${at}.imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"`],
    ],
    [
      { terminationMessagePolicy: 'X' },
      [`${at}.terminationMessagePolicy: Unsupported value: "X": supported values: "File", "FallbackToLogsOnError"`],
    ],
    [{ ports: [{}] }, [`${at}.ports[0].containerPort: Required value`]],
    [
      { ports: [{ containerPort: 80, name: 'A' }] },
      [
        `${at}.ports[0].name: Invalid value: "A": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
        `${at}.ports[0].name: Invalid value: "A": must contain at least one letter (a-z)`,
      ],
    ],
    [
      {
        ports: [
          { containerPort: 80, hostPort: 1 },
          { containerPort: 81, hostPort: 1 },
        ],
      },
      [`${at}.ports[1].hostPort: Duplicate value: "TCP//1"`],
    ],
    [
      { env: [{ name: 'A', valueFrom: {} }] },
      [
        `${at}.env[0].valueFrom: Invalid value: "": must specify one of: \`fieldRef\`, \`resourceFieldRef\`, \`configMapKeyRef\`, \`secretKeyRef\` or \`fileKeyRef\``,
      ],
    ],
    [
      { env: [{ name: 'A=B', value: 'x' }] },
      [
        `${at}.env[0].name: Invalid value: "A=B": a valid environment variable name must consist only of printable ASCII characters other than '='`,
      ],
    ],
    [
      { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.foo' } } }] },
      [
        `${at}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting fieldPath: field label not supported: spec.foo`,
      ],
    ],
    [
      { env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.labels' } } }] },
      [
        `${at}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"`,
      ],
    ],
    [
      { env: [{ name: 'A', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '2' } } }] },
      [
        `${at}.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`,
      ],
    ],
    [{ envFrom: [{}] }, [`${at}.envFrom: Invalid value: "": must specify one of: \`configMapRef\` or \`secretRef\``]],
    [
      { volumeMounts: [{ name: 'v' }] },
      [`${at}.volumeMounts[0].name: Not found: "v"`, `${at}.volumeMounts[0].mountPath: Required value`],
    ],
    [
      { resources: { requests: { cpu: '2' }, limits: { cpu: '1' } } },
      [`${at}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1`],
    ],
    [
      { resources: { limits: { 'example.com/gpu': '1.5' } } },
      [
        `${at}.resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer`,
        `${at}.resources.requests[example.com/gpu]: Invalid value: "1500m": must be an integer`,
      ],
    ],
    [
      { resources: { requests: { 'example.com/gpu': '1' } } },
      [`${at}.resources.limits: Required value: Limit must be set for non overcommitable resources`],
    ],
    [
      { lifecycle: { preStop: { sleep: { seconds: 31 } } } },
      [
        `${at}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)`,
      ],
    ],
    [{ livenessProbe: { exec: {} } }, [`${at}.livenessProbe.exec.command: Required value`]],
    [
      { livenessProbe: { grpc: { port: 0 } } },
      [`${at}.livenessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive`],
    ],
    [
      { restartPolicy: 'Maybe' },
      [`${at}.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "Never", "OnFailure"`],
    ],
    [
      { restartPolicyRules: [{ action: 'X', exitCodes: { operator: '' } }] },
      [
        `${at}.restartPolicy: Required value: must specify restartPolicy when restart rules are used`,
        `${at}.restartPolicyRules[0].action: Unsupported value: "X": supported values: "Restart", "RestartAllContainers"`,
        `${at}.restartPolicyRules[0].exitCodes.operator: Unsupported value: "": supported values: "In", "NotIn"`,
      ],
    ],
    [
      { securityContext: { runAsGroup: 2 ** 31 } },
      [`${at}.securityContext.runAsGroup: Invalid value: 2147483648: must be between 0 and 2147483647, inclusive`],
    ],
    [
      { securityContext: { seccompProfile: { type: 'Localhost' } } },
      [
        `${at}.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost`,
      ],
    ],
  ])('%j', (fields, errors) => {
    expect(withContainer(fields)).toEqual(errors);
  });

  test('every mistake at once', () => {
    expect(
      errorsOf(
        {
          containers: [
            { name: 'a.b', image: '', ports: [{ containerPort: 99999 }] },
            { name: 'a.b', image: 'x' },
          ],
          restartPolicy: 'Never!',
        },
        { labels: { a: '-' } },
      ),
    ).toEqual([
      expect.stringMatching(/^metadata\.labels: Invalid value: "-": a valid label must be an empty string/),
      'spec.containers[0].name: Invalid value: "a.b": must not contain dots',
      'spec.containers[0].image: Required value',
      'spec.containers[0].ports[0].containerPort: Invalid value: 99999: must be between 1 and 65535, inclusive',
      'spec.containers[1].name: Invalid value: "a.b": must not contain dots',
      'spec.containers[1].name: Duplicate value: "a.b"',
      'spec.restartPolicy: Unsupported value: "Never!": supported values: "Always", "OnFailure", "Never"',
    ]);
  });

  test('an init container may rest, a sidecar may be probed', () => {
    const probe = { tcpSocket: { port: 1 } };
    expect(
      withSpec({ initContainers: [{ name: 'i', image: 'x', restartPolicy: 'Always', livenessProbe: probe }] }),
    ).toEqual([]);
    expect(withSpec({ initContainers: [{ name: 'i', image: 'x', startupProbe: probe }] })).toEqual([
      'spec.initContainers[0].startupProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
    ]);
  });
});

describe('the rest of the spec', () => {
  test.each([
    [
      { hostNetwork: true, containers: [{ ...C, ports: [{ containerPort: 80, hostPort: 81 }] }] },
      [
        'spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true',
      ],
    ],
    [{ dnsPolicy: 'None' }, ['spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None']],
    [
      { dnsPolicy: 'None', dnsConfig: {} },
      ['spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None'],
    ],
    [
      { dnsConfig: { nameservers: ['x'] } },
      [
        'spec.dnsConfig.nameservers[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ],
    ],
    [
      { shareProcessNamespace: true, hostPID: true },
      [
        'spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled',
      ],
    ],
    [{ hostUsers: false, hostNetwork: true }, ['spec.hostNetwork: Forbidden: when `pod.Spec.HostUsers` is false']],
    [{ hostname: 'a.b' }, ['spec.hostname: Invalid value: "a.b": must not contain dots']],
    [
      { tolerations: [{ key: 'a', operator: 'Like' }] },
      ['spec.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"'],
    ],
    [
      { tolerations: [{ key: 'a', tolerationSeconds: 1 }] },
      ['spec.tolerations[0].effect: Invalid value: "": effect must be \'NoExecute\' when `tolerationSeconds` is set'],
    ],
    [
      { schedulingGates: [{ name: 'a' }], nodeName: 'n' },
      ['spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared'],
    ],
    [
      { ephemeralContainers: [{ name: 'e', image: 'x' }] },
      ['spec.ephemeralContainers: Forbidden: cannot be set on create'],
    ],
    [
      { resources: { limits: { cpu: '1' } }, containers: [{ ...C, resources: { requests: { cpu: '2' } } }] },
      ['spec.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ],
    [
      { preemptionPolicy: 'X' },
      ['spec.preemptionPolicy: Unsupported value: "X": supported values: "PreemptLowerPriority", "Never"'],
    ],
  ])('%j', (fields, errors) => {
    expect(withSpec(fields)).toEqual(errors);
  });

  test('metadata', () => {
    const spec = { containers: [C] };
    expect(
      errorsOf(spec, { finalizers: ['x'], ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'o', uid: '' }] }),
    ).toEqual([
      'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
      'metadata.finalizers[0]: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified',
    ]);
    expect(errorsOf(spec, { generateName: 'Bad-', name: undefined })).toHaveLength(2);
    expect(errorsOf(spec, { annotations: { a: 'x'.repeat(300_000) } })).toEqual([
      'metadata.annotations: Too long: may not be more than 262144 bytes',
    ]);
  });
});

describe('volumes', () => {
  const at = 'spec.volumes[0]';
  test.each([
    [
      { emptyDir: {}, hostPath: { path: '/a' } },
      [`${at}.hostPath: Forbidden: may not specify more than 1 volume type`],
    ],
    [
      { emptyDir: { sizeLimit: '-1' } },
      [`${at}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity`],
    ],
    [{ hostPath: {} }, [`${at}.hostPath.path: Required value`]],
    [
      { secret: { defaultMode: 0o1000 } },
      [
        `${at}.secret.secretName: Required value`,
        `${at}.secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive`,
      ],
    ],
    [
      { configMap: { name: 'c', items: [{ key: '', path: '..a' }] } },
      [
        `${at}.configMap.items[0].key: Required value`,
        `${at}.configMap.items[0].path: Invalid value: "..a": must not start with '..'`,
      ],
    ],
    [
      { downwardAPI: { items: [{ path: '/a' }] } },
      [
        `${at}.downwardAPI.path: Invalid value: "/a": must be a relative path`,
        `${at}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required`,
      ],
    ],
    [
      { downwardAPI: { items: [{ path: 'a', resourceFieldRef: { resource: 'limits.cpu' } }] } },
      [`${at}.downwardAPI.resourceFieldRef.containerName: Required value`],
    ],
    [
      { projected: { sources: [{ secret: { name: 's' }, configMap: { name: 'c' } }] } },
      [`${at}.projected.sources[0]: Forbidden: may not specify more than 1 volume type per source`],
    ],
    [
      {
        projected: {
          sources: [
            { configMap: { name: 'a', items: [{ key: 'k', path: 'p' }] } },
            { secret: { name: 'b', items: [{ key: 'k', path: 'p' }] } },
          ],
        },
      },
      [`${at}.projected: Invalid value: "b": conflicting duplicate paths`],
    ],
    [{ nfs: { path: '/x' } }, [`${at}.nfs.server: Required value`]],
  ])('%j', (volume, errors) => {
    expect(withVolume(volume)).toEqual(errors);
  });

  test('a bad volume is not found by its mounts', () => {
    const spec = {
      containers: [{ ...C, volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
      volumes: [{ name: 'v', hostPath: { path: '' } }],
    };
    expect(errorsOf(spec)).toEqual([
      'spec.volumes[0].hostPath.path: Required value',
      'spec.containers[0].volumeMounts[0].name: Not found: "v"',
    ]);
  });
});
