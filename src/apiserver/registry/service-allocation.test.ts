import { expect, test } from 'vitest';
import type { Service, ServiceSpec } from '../../api/generated/types.ts';
import { formatFieldError } from '../../api/validation/field-error.ts';
import { parseCidr, parseIPv4 } from '../../lib/ipv4.ts';
import { SeededRandom } from '../../lib/random.ts';
import { allocateService } from './service-allocation.ts';

const RANGE = parseCidr('10.96.0.0/24')!;

const serviceOf = (spec: ServiceSpec): Service => ({ metadata: { name: 's' }, spec });
const cluster = (spec: ServiceSpec = {}): Service =>
  serviceOf({ type: 'ClusterIP', selector: { app: 'a' }, ports: [{ port: 80, protocol: 'TCP' }], ...spec });
const withIP = (clusterIP: string, spec: ServiceSpec = {}): Service =>
  cluster({ clusterIP, clusterIPs: [clusterIP], ...spec });

const hostOf = (seed: number, ports: number[] = []) => ({
  random: new SeededRandom(seed),
  portsInUse: () => new Set(ports),
});

function allocate(service: Service, others: Service[] = [], old?: Service, range = RANGE, ports?: number[]): string[] {
  return allocateService(service, old, others, range, hostOf(7, ports)).map(formatFieldError);
}

test('every Service has an address of its own until the range is used up', () => {
  const range = parseCidr('10.96.0.0/28')!;
  const services: Service[] = [];
  for (let i = 0; i < 13; i++) {
    const service = cluster();
    expect(allocate(service, services, undefined, range)).toEqual([]);
    services.push(service);
  }
  const addresses = services.map(({ spec }) => spec!.clusterIP!);
  // Neither the network's, the API server's, nor the broadcast address.
  expect(addresses.map((text) => parseIPv4(text)! - range.base).sort((a, b) => a - b)).toEqual([
    2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
  ]);
  expect(services[0]!.spec).toMatchObject({
    clusterIPs: [addresses[0]],
    ipFamilies: ['IPv4'],
    ipFamilyPolicy: 'SingleStack',
  });
  expect(() => allocate(cluster(), services, undefined, range)).toThrow(
    'failed to allocate a serviceIP: range is full',
  );
});

test('the lower part of the range is left to those who ask for it', () => {
  for (let seed = 0; seed < 200; seed++) {
    const service = cluster();
    allocateService(service, undefined, [], RANGE, hostOf(seed));
    expect(parseIPv4(service.spec!.clusterIP!)! - RANGE.base).toBeGreaterThanOrEqual(18);
  }
  expect(allocate(withIP('10.96.0.10'))).toEqual([]);
});

test.each([
  ['10.97.0.1', 'the provided network does not match the current range'],
  ['10.96.0.77', 'provided IP is already allocated'],
  ['10.96.0.0', 'the provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is 10.96.0.0/24'],
  ['10.96.0.255', 'the provided IP (10.96.0.255) is not in the valid range. The range of valid IPs is 10.96.0.0/24'],
])('address %s is refused: %s', (address, why) => {
  expect(allocate(withIP(address), [withIP('10.96.0.77')])).toEqual([
    `spec.clusterIPs: Invalid value: ["${address}"]: failed to allocate IP ${address}: ${why}`,
  ]);
});

test('what needs no address gets none', () => {
  const headless = withIP('None');
  const external = serviceOf({ type: 'ExternalName', externalName: 'example.com' });
  expect([allocate(headless), allocate(external)]).toEqual([[], []]);
  expect(headless.spec).toMatchObject({ clusterIPs: ['None'], ipFamilies: ['IPv4'] });
  expect(external.spec).toEqual({ type: 'ExternalName', externalName: 'example.com' });
});

const POLICY = 'spec.ipFamilyPolicy: Invalid value: ';
test.each([
  [
    { ipFamilyPolicy: 'RequireDualStack' },
    [`${POLICY}"RequireDualStack": this cluster is not configured for dual-stack services`],
  ],
  [{ ipFamilies: ['IPv6'] }, ['spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster']],
  [
    { ipFamilies: ['IPv4', 'IPv6'] },
    [`${POLICY}"SingleStack": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified`],
  ],
  [
    { clusterIP: 'fd00::1', clusterIPs: ['fd00::1'] },
    ['spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster'],
  ],
  [
    { clusterIPs: ['10.96.0.9'] },
    ['spec.clusterIPs: Invalid value: ["10.96.0.9"]: must be empty when `clusterIP` is not specified'],
  ],
  [
    { clusterIP: '10.96.0.9', clusterIPs: ['x'], ipFamilyPolicy: 'Bogus' },
    [
      'spec.clusterIPs: Invalid value: ["x"]: first value must match `clusterIP`',
      'spec.ipFamilyPolicy: Unsupported value: "Bogus": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"',
      'spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    ],
  ],
  [
    { clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9', '10.96.0.8'] },
    ['spec.clusterIPs: Invalid value: ["10.96.0.9","10.96.0.8"]: may specify no more than one IP for each IP family'],
  ],
  [
    { clusterIP: 'None', clusterIPs: ['None', '10.96.0.8', '10.96.0.9'] },
    [
      `spec.clusterIPs: Invalid value: ["None","10.96.0.8","10.96.0.9"]: 'None' must be the first and only value`,
      'spec.clusterIPs: Invalid value: ["None","10.96.0.8","10.96.0.9"]: may only hold up to 2 values',
    ],
  ],
  [{ ipFamilyPolicy: 'PreferDualStack' }, []],
] as [ServiceSpec, string[]][])('families: %j', (spec, errors) => {
  expect(allocate(cluster(spec))).toEqual(errors);
});

test('a headless Service without a selector may have endpoints of both families', () => {
  const service = withIP('None', { selector: {} });
  expect(allocate(service)).toEqual([]);
  expect(service.spec).toMatchObject({ ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] });
});

const nodePort = (ports: ServiceSpec['ports'], spec: ServiceSpec = {}): Service =>
  cluster({ type: 'NodePort', ports: ports!, ...spec });
const portsOf = ({ spec }: Service): (number | undefined)[] => spec!.ports!.map((port) => port.nodePort);

test('node ports are given once, those asked for first', () => {
  const others: Service[] = [];
  for (let i = 0; i < 50; i++) {
    const service = nodePort([
      { name: 'a', port: 80, protocol: 'TCP' },
      { name: 'b', port: 81, protocol: 'TCP' },
    ]);
    expect(allocate(service, others)).toEqual([]);
    others.push(service);
  }
  const all = others.flatMap(portsOf);
  expect(new Set(all).size).toBe(100);
  for (const port of all) {
    expect(port).toBeGreaterThanOrEqual(30086);
    expect(port).toBeLessThanOrEqual(32767);
  }
});

test('a node port that a program of the machine has is not drawn, but given to who asks for it', () => {
  const drawn = (ports?: number[]): number => {
    const service = nodePort([{ port: 80, protocol: 'TCP' }]);
    expect(allocate(service, [], undefined, RANGE, ports)).toEqual([]);
    return portsOf(service)[0]!;
  };
  const port = drawn();
  expect(drawn([port])).not.toBe(port);
  expect(allocate(nodePort([{ port: 80, protocol: 'TCP', nodePort: port }]), [], undefined, RANGE, [port])).toEqual([]);
});

test('one port over two protocols has one node port', () => {
  const service = nodePort([
    { name: 'tcp', port: 53, protocol: 'TCP' },
    { name: 'udp', port: 53, protocol: 'UDP' },
  ]);
  expect(allocate(service)).toEqual([]);
  expect(portsOf(service)[0]).toBe(portsOf(service)[1]);
});

test('a node port that is taken or out of range is refused; its own is not', () => {
  const other = nodePort([{ port: 80, protocol: 'TCP', nodePort: 30080 }]);
  const wanted = (port: number): Service => nodePort([{ port: 80, protocol: 'TCP', nodePort: port }]);
  expect(allocate(wanted(30080), [other])).toEqual([
    'spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated',
  ]);
  expect(allocate(wanted(80))).toEqual([
    'spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
  ]);
  const [old, now] = [wanted(30090), wanted(30090)];
  expect(allocate(now, [other], old)).toEqual([]);
});

test('a load balancer has node ports unless it wants none, and one for health checks when traffic stays local', () => {
  const ports = (): ServiceSpec['ports'] & {} => [{ port: 80, protocol: 'TCP' }];
  const plain = cluster({ type: 'LoadBalancer', allocateLoadBalancerNodePorts: true, ports: ports() });
  const without = cluster({ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports: ports() });
  const local = cluster({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: ports() });
  expect([plain, without, local].map((service) => allocate(service))).toEqual([[], [], []]);
  expect(portsOf(plain)[0]).toBeGreaterThan(30000);
  expect(portsOf(without)).toEqual([undefined]);
  expect(local.spec!.healthCheckNodePort).toBeGreaterThan(30000);
  expect(local.spec!.healthCheckNodePort).not.toBe(portsOf(local)[0]);
  const clash = cluster({ type: 'NodePort', ports: [{ port: 80, nodePort: local.spec!.healthCheckNodePort! }] });
  expect(allocate(clash, [local])).toHaveLength(1);
  // What is no port is for validation to refuse.
  const high = cluster({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', ports: ports() });
  high.spec!.healthCheckNodePort = 70000;
  expect(allocate(high)).toEqual([]);
});
