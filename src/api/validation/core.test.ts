import { describe, expect, test } from 'vitest';
import { decodeObject } from '../decode.ts';
import { applyDefaults } from '../defaults.ts';
import type { KubeObject, Resource } from '../resources.ts';
import * as resources from '../resources.ts';
import { formatFieldError, invalidError } from './field-error.ts';
import { clusterIPsOf } from './service.ts';
import { validate, validateUpdate } from './validate.ts';

function make(resource: Resource, value: object): KubeObject {
  const object = applyDefaults(resource, decodeObject<KubeObject>(resource, value).object);
  object.metadata.name ??= 'x';
  if (resource.namespaced) object.metadata.namespace ??= 'n';
  return object;
}
const errorsOf = (resource: Resource, value: object) => validate(resource, make(resource, value)).map(formatFieldError);
const changeErrors = (resource: Resource, before: object, after: object) =>
  validateUpdate(resource, make(resource, after), make(resource, before)).map(formatFieldError);
const { CONFIGMAPS, ENDPOINTS, ENDPOINTSLICES, EVENTS, LEASES, NAMESPACES, NODES, SECRETS, SERVICES } = resources;
const base64 = (text: string) => Buffer.from(text).toString('base64');

const LOCAL = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: [{ port: 1 }] };
const BALANCER = { type: 'LoadBalancer', ports: [{ port: 1 }] };
const NAME_PART =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LINK_LOCAL = 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
const ONLY_LOCAL = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
const SOURCE_RANGES = 'service.beta.kubernetes.io/load-balancer-source-ranges';

describe('on creation', () => {
  test.each<[Resource, object, string[]]>([
    [
      CONFIGMAPS,
      { data: { a: 'x' }, binaryData: { a: '' } },
      ['data[a]: Invalid value: "a": duplicate of key present in binaryData'],
    ],
    [CONFIGMAPS, { data: { '..': 'x' } }, ['data[..]: Invalid value: "..": must not be \'..\'']],
    [CONFIGMAPS, { data: { a: 'x'.repeat(2 ** 20 + 1) } }, [': Too long: may not be more than 1048576 bytes']],
    [SECRETS, { type: 'kubernetes.io/tls', data: { 'tls.crt': '' } }, ['data[tls.key]: Required value']],
    [
      SECRETS,
      { type: 'kubernetes.io/basic-auth' },
      ['data[username]: Required value', 'data[password]: Required value'],
    ],
    [SECRETS, { type: 'kubernetes.io/basic-auth', stringData: { username: 'u' } }, []],
    [
      SECRETS,
      { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': base64('{') } },
      ['data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": unexpected end of JSON input'],
    ],
    [
      SECRETS,
      { type: 'kubernetes.io/dockercfg', data: { '.dockercfg': base64('x') } },
      [
        'data[.dockercfg]: Invalid value: "<secret contents redacted>": invalid character \'x\' looking for beginning of value',
      ],
    ],
    [
      SECRETS,
      { type: 'kubernetes.io/dockercfg', data: { '.dockercfg': base64('[]') } },
      [
        'data[.dockercfg]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value of type map[string]interface {}',
      ],
    ],
    [
      SECRETS,
      { type: 'kubernetes.io/service-account-token' },
      ['metadata.annotations[kubernetes.io/service-account.name]: Required value'],
    ],
    [
      NAMESPACES,
      { spec: { finalizers: ['x'] } },
      ['spec.finalizers: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified'],
    ],
    [
      NODES,
      { spec: { taints: [{ key: 'a', effect: 'Never' }] } },
      [
        'metadata.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
      ],
    ],
    [NODES, { metadata: { namespace: 'n' } }, ['metadata.namespace: Forbidden: not allowed on this type']],
    [EVENTS, { involvedObject: { namespace: 'n' } }, []],
    [EVENTS, { involvedObject: {} }, ['involvedObject.namespace: Invalid value: "": does not match event.namespace']],
    [EVENTS, { metadata: { namespace: 'default' }, involvedObject: { kind: 'Node' } }, []],
    [
      LEASES,
      { spec: { leaseDurationSeconds: 0, leaseTransitions: -1 } },
      [
        'spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0',
        'spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0',
      ],
    ],
    [
      ENDPOINTS,
      { subsets: [{ addresses: [{ ip: 'x' }], ports: [{ port: 0 }] }] },
      [
        'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address',
        'subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      ],
    ],
    [
      ENDPOINTSLICES,
      { addressType: 'IPv5', endpoints: [{ addresses: [] }] },
      [
        'addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"',
        'endpoints[0].addresses: Required value: must contain at least 1 address',
      ],
    ],
    [
      ENDPOINTS,
      {
        subsets: [
          {
            addresses: [{ ip: '169.254.1.1' }, { ip: '127.0.0.1' }],
            notReadyAddresses: [{ ip: '224.0.0.1', nodeName: 'x y' }],
            ports: [{ port: 1, appProtocol: 'a b' }],
          },
        ],
      },
      [
        `subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": ${LINK_LOCAL}`,
        `subsets[0].notReadyAddresses[0].nodeName: Invalid value: "x y": ${SUBDOMAIN}`,
        'subsets[0].notReadyAddresses[0].ip: Invalid value: "224.0.0.1": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
        `subsets[0].ports[0].appProtocol: Invalid value: "a b": name part ${NAME_PART}`,
      ],
    ],
    [
      ENDPOINTSLICES,
      {
        addressType: 'IPv4',
        endpoints: [
          { addresses: ['::1'] },
          { addresses: ['0.0.0.0', '127.0.0.1', '169.254.1.1'] },
          { addresses: ['192.0.2.1'], hostname: 'A.b', nodeName: 'x y' },
        ],
        ports: [{ port: 1, appProtocol: 'a b' }],
      },
      [
        `ports[0].appProtocol: Invalid value: "a b": name part ${NAME_PART}`,
        'endpoints[0].addresses: Invalid value: "::1": must be an IPv4 address',
        'endpoints[1].addresses[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
        `endpoints[1].addresses[2]: Invalid value: "169.254.1.1": ${LINK_LOCAL}`,
        `endpoints[2].nodeName: Invalid value: "x y": ${SUBDOMAIN}`,
        `endpoints[2].hostname: Invalid value: "A.b": ${LABEL}`,
      ],
    ],
    [
      ENDPOINTSLICES,
      { addressType: 'IPv6', endpoints: [{ addresses: ['1.1.1.1', '2001:DB8::1', '2001:db8::1'] }] },
      [
        'endpoints[0].addresses: Invalid value: "1.1.1.1": must be an IPv6 address',
        'endpoints[0].addresses[1]: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")',
      ],
    ],
    [
      ENDPOINTSLICES,
      { addressType: 'FQDN', endpoints: [{ addresses: ['example.com.', 'com', 'A.b'] }] },
      [
        'endpoints[0].addresses[1]: Invalid value: "com": should be a domain with at least two segments separated by dots',
        `endpoints[0].addresses[2]: Invalid value: "A.b": ${SUBDOMAIN}`,
      ],
    ],
    [
      ENDPOINTSLICES,
      {
        addressType: 'IPv4',
        endpoints: [
          {
            addresses: ['192.0.2.1'],
            hints: { forZones: [{ name: 'a' }, { name: 'a' }], forNodes: Array(9).fill({ name: 'n' }) },
            deprecatedTopology: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v'])),
          },
        ],
      },
      [
        'endpoints[0].deprecatedTopology: Too many: 17: must have at most 16 items',
        'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
        'endpoints[0].hints.forNodes: Too many: 9: must have at most 8 items',
      ],
    ],
    [SERVICES, { spec: { type: 'ExternalName' } }, ['spec.externalName: Required value']],
    [SERVICES, { spec: { clusterIP: 'None' } }, []],
    [
      SERVICES,
      { spec: { ports: [{ port: 1, nodePort: 30000 }] } },
      ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
    ],
    [
      SERVICES,
      {
        spec: {
          ports: [
            { port: 1, name: 'a' },
            { port: 1, name: 'a' },
          ],
        },
      },
      [
        'spec.ports[1].name: Duplicate value: "a"',
        'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":1,"TargetPort":0,"NodePort":0}',
      ],
    ],
    [
      SERVICES,
      { spec: { type: 'NodePort', clusterIP: 'None', ports: [{ port: 1 }] } },
      ['spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services'],
    ],
    [
      SERVICES,
      { spec: { externalIPs: ['192.0.2.1', '127.0.0.1', '0.0.0.0', '01.2.3.4'], ports: [{ port: 1 }] } },
      [
        'spec.externalIPs[1]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        'spec.externalIPs[2]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
        'spec.externalIPs[3]: Invalid value: "01.2.3.4": must not have leading 0s',
      ],
    ],
    [
      SERVICES,
      { spec: { ...BALANCER, loadBalancerSourceRanges: [' 10.0.0.0/8 ', 'bogus', '10.0.0.1/8'] } },
      [
        'spec.LoadBalancerSourceRanges[1]: Invalid value: "bogus": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        'spec.LoadBalancerSourceRanges[2]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
      ],
    ],
    [
      SERVICES,
      { spec: { ...BALANCER, trafficDistribution: 'Bogus', loadBalancerClass: 'b a d', healthCheckNodePort: 30000 } },
      [
        `spec.loadBalancerClass: Invalid value: "b a d": name part ${NAME_PART}`,
        `spec.healthCheckNodePort: Invalid value: 30000: ${ONLY_LOCAL}`,
        'spec.trafficDistribution: Unsupported value: "Bogus": supported values: "PreferClose", "PreferSameZone", "PreferSameNode"',
      ],
    ],
    [
      SERVICES,
      {
        spec: {
          ...BALANCER,
          trafficDistribution: 'PreferSameNode',
          loadBalancerClass: 'example.com/lb',
          externalTrafficPolicy: 'Local',
          healthCheckNodePort: 30000,
        },
      },
      [],
    ],
    [
      SECRETS,
      { type: 'kubernetes.io/ssh-auth', data: { 'ssh-privatekey': '' } },
      ['data[ssh-privatekey]: Required value'],
    ],
    [
      NODES,
      {
        metadata: { labels: { ['a'.repeat(64)]: 'b'.repeat(64), 'a/b/c': '' } },
        spec: {
          taints: [
            { key: 'k', effect: 'NoExecute' },
            { key: 'k', effect: 'NoExecute', value: 'v' },
          ],
        },
      },
      [
        `metadata.labels: Invalid value: "${'a'.repeat(64)}": name part must be no more than 63 bytes`,
        `metadata.labels: Invalid value: "${'b'.repeat(64)}": must be no more than 63 bytes`,
        expect.stringMatching(/^metadata.labels: Invalid value: "a\/b\/c": a valid label key must consist of /),
        'metadata.taints[1]: Duplicate value: {"Key":"k","Value":"v","Effect":"NoExecute","TimeAdded":null}: taints must be unique by key and effect pair',
      ],
    ],
    [
      SERVICES,
      { spec: { ports: [{ port: 1 }], healthCheckNodePort: 30000 } },
      [`spec.healthCheckNodePort: Invalid value: 30000: ${ONLY_LOCAL}`],
    ],
    [
      SERVICES,
      { metadata: { annotations: { [SOURCE_RANGES]: '10.0.0.0/8, x' } }, spec: BALANCER },
      [
        `metadata.annotations[${SOURCE_RANGES}]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`,
      ],
    ],
    [
      SERVICES,
      { metadata: { annotations: { [SOURCE_RANGES]: '' } }, spec: { ports: [{ port: 1 }] } },
      [`metadata.annotations[${SOURCE_RANGES}]: Forbidden: may only be used when \`type\` is 'LoadBalancer'`],
    ],
  ])('$kind %j', (resource, value, errors) => {
    expect(errorsOf(resource, value)).toEqual(errors);
  });

  test('of a resource without rules the metadata is judged', () => {
    const other: Resource = { group: 'example.com', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
    expect(validate(other, { metadata: { name: 'A' } }).map(({ field }) => field)).toEqual([
      'metadata.name',
      'metadata.namespace',
    ]);
  });
});

describe('on update', () => {
  test.each<[Resource, object, object, string[]]>([
    [CONFIGMAPS, { immutable: true, data: { a: '1' } }, { immutable: true, data: { a: '1' } }, []],
    [
      CONFIGMAPS,
      { immutable: true, data: { a: '1' } },
      { data: { a: '1' } },
      ['immutable: Forbidden: field is immutable when `immutable` is set'],
    ],
    [CONFIGMAPS, { data: { a: '1' } }, { immutable: true, data: { a: '2' } }, []],
    [
      SECRETS,
      { immutable: true, data: { a: 'YQ==' } },
      { immutable: true },
      ['data: Forbidden: field is immutable when `immutable` is set'],
    ],
    [
      NODES,
      { spec: { providerID: 'a' } },
      { spec: { providerID: 'b' } },
      ['spec.providerID: Forbidden: node updates may not change providerID except from "" to valid'],
    ],
    [NODES, {}, { spec: { podCIDR: '10.0.0.0/24' } }, []],
    [
      ENDPOINTSLICES,
      { addressType: 'IPv4' },
      { addressType: 'IPv6' },
      ['addressType: Invalid value: "IPv6": field is immutable'],
    ],
    [
      ENDPOINTSLICES,
      { addressType: 'IPv4' },
      { addressType: 'IPv5' as never, ports: [{ protocol: '' as never }] },
      [
        'addressType: Unsupported value: "IPv5": supported values: "FQDN", "IPv4", "IPv6"',
        'ports[0].protocol: Unsupported value: "": supported values: "SCTP", "TCP", "UDP"',
        'addressType: Invalid value: "IPv5": field is immutable',
      ],
    ],
    [LEASES, { spec: { holderIdentity: 'a' } }, { spec: { holderIdentity: 'b' } }, []],
    [
      SERVICES,
      { spec: { ...LOCAL, healthCheckNodePort: 30001, loadBalancerClass: 'a' } },
      { spec: { ...LOCAL, healthCheckNodePort: 30002, loadBalancerClass: 'b' } },
      [
        'spec.loadBalancerClass: Invalid value: "b": may not change once set',
        'spec.healthCheckNodePort: Forbidden: field is immutable',
      ],
    ],
    [
      SERVICES,
      { spec: { ...BALANCER, loadBalancerClass: 'a' } },
      { spec: BALANCER },
      ['spec.loadBalancerClass: Invalid value: null: may not change once set'],
    ],
    [SERVICES, { spec: { ports: [{ port: 1 }] } }, { spec: { ...LOCAL, loadBalancerClass: 'a' } }, []],
    [
      ENDPOINTSLICES,
      { addressType: 'IPv4', endpoints: [{ addresses: ['0.0.0.0'] }] },
      { addressType: 'IPv4', endpoints: [{ addresses: ['0.0.0.0'] }], ports: [{ port: 1 }] },
      [],
    ],
    [
      ENDPOINTS,
      { subsets: [{ addresses: [{ ip: '0.0.0.0' }] }] },
      { metadata: { labels: { a: 'b' } }, subsets: [{ addresses: [{ ip: '0.0.0.0' }] }] },
      [],
    ],
    // What an older version let in may stay, but not where it does harm.
    [
      SERVICES,
      { spec: { ...BALANCER, loadBalancerSourceRanges: ['bogus '], externalIPs: ['01.2.3.4', '127.0.0.1'] } },
      { spec: { ...BALANCER, loadBalancerSourceRanges: ['bogus', 'x'], externalIPs: ['01.2.3.4', '127.0.0.1'] } },
      [
        'spec.externalIPs[1]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
        'spec.LoadBalancerSourceRanges[1]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      ],
    ],
  ])('$kind %j', (resource, before, after, errors) => {
    expect(changeErrors(resource, before, after)).toEqual(errors);
  });

  test('metadata: errors stand twice, the message has them once', () => {
    const before = make(CONFIGMAPS, { metadata: { name: 'x', uid: '1' } });
    const after = make(CONFIGMAPS, { metadata: { name: 'x', uid: '2' } });
    const errors = validateUpdate(CONFIGMAPS, after, before);
    expect(errors).toHaveLength(2);
    expect(invalidError(CONFIGMAPS, 'x', errors).message).toBe(
      'ConfigMap "x" is invalid: metadata.uid: Invalid value: "2": field is immutable',
    );
  });
});

test('addresses of Services in the old field, in the new one, and carried along', () => {
  const service = (spec: object) => ({ metadata: {}, spec }) as never;
  const old = service({ clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1', 'fd00::1'] });
  expect(clusterIPsOf(service({}))).toEqual([]);
  expect(clusterIPsOf(service({ clusterIP: 'None' }))).toEqual(['None']);
  expect(clusterIPsOf(old)).toEqual(['10.0.0.1', 'fd00::1']);
  expect(clusterIPsOf(service({ clusterIP: '10.0.0.2', clusterIPs: ['10.0.0.1'] }), old)).toEqual(['10.0.0.2']);
  expect(clusterIPsOf(service({ clusterIPs: ['10.0.0.1', 'fd00::1'] }), old)).toEqual([]);
});
