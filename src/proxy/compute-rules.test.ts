import { describe, expect, test } from 'vitest';
import type { Endpoint, EndpointSlice, Service, ServicePort, ServiceSpec } from '../api/generated/types.ts';
import { computeServiceRules, type ServiceRules } from './compute-rules.ts';

const node = { nodeName: 'here', podCIDR: '10.88.0.0/16' };
const http: ServicePort = { name: 'http', port: 80, protocol: 'TCP' };
const service = (spec: Partial<ServiceSpec> = {}, more: Partial<Service> = {}): Service => ({
  metadata: { namespace: 'shop', name: 'web' },
  spec: { type: 'ClusterIP', clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ports: [http], ...spec },
  ...more,
});
const endpoint = (
  address: string,
  conditions: Endpoint['conditions'] = { ready: true },
  nodeName = 'here',
): Endpoint => ({
  addresses: [address],
  conditions,
  nodeName,
});
const slice = (...endpoints: Endpoint[]): EndpointSlice => ({
  metadata: { namespace: 'shop', name: 'web-x' },
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints,
});
/** Where each frontend leads, as text. */
const led = (rules: ServiceRules): Record<string, string[]> =>
  Object.fromEntries([...rules.frontends].map(([key, { endpoints }]) => [key, [...endpoints].sort()]));
const compute = (s: Service, ...slices: EndpointSlice[]): ServiceRules => computeServiceRules(s, slices, node);
const ready = { ready: true, serving: true, terminating: false };
const notReady = { ready: false, serving: false, terminating: false };
const draining = { ready: false, serving: true, terminating: true };

describe('which endpoints get traffic', () => {
  const cases: [string, Endpoint[], string[]][] = [
    ['ready ones', [endpoint('10.88.0.2', ready), endpoint('10.88.0.3', notReady)], ['10.88.0.2 . 8080']],
    [
      'conditions that are absent mean ready',
      [endpoint('10.88.0.2', {}), endpoint('10.88.0.3', undefined)],
      ['10.88.0.2 . 8080', '10.88.0.3 . 8080'],
    ],
    [
      'not one that is ending, while another is ready',
      [endpoint('10.88.0.2', draining), endpoint('10.88.0.3', ready)],
      ['10.88.0.3 . 8080'],
    ],
    [
      'those that still serve while they end, when none is ready',
      [endpoint('10.88.0.2', draining), endpoint('10.88.0.3', notReady)],
      ['10.88.0.2 . 8080'],
    ],
    [
      'never one that ends and does not serve',
      [endpoint('10.88.0.2', { ready: false, serving: false, terminating: true })],
      [],
    ],
    [
      'published although not ready: the controller says ready',
      [endpoint('10.88.0.2', { ready: true, serving: false, terminating: true })],
      ['10.88.0.2 . 8080'],
    ],
    [
      'not what is no IPv4 address',
      [endpoint('fd00::2'), endpoint('10.88.0.300'), endpoint('10.88.0.2; flush ruleset')],
      [],
    ],
  ];
  test.each(cases)('%s', (_, endpoints, expected) => {
    expect(led(compute(service(), slice(...endpoints)))).toEqual({ '10.96.0.7 . tcp . 80': expected });
  });

  test('an endpoint in two slices counts once, and is ready if one says so', () => {
    const rules = compute(service(), slice(endpoint('10.88.0.2', notReady)), slice(endpoint('10.88.0.2', ready)));
    expect(led(rules)).toEqual({ '10.96.0.7 . tcp . 80': ['10.88.0.2 . 8080'] });
  });

  test('slices of other address types, and ports of other names and protocols, are not its own', () => {
    const others = [
      { ...slice(endpoint('10.88.0.2')), addressType: 'FQDN' as const },
      { ...slice(endpoint('10.88.0.3')), ports: [{ name: 'other', port: 8080, protocol: 'TCP' as const }] },
      { ...slice(endpoint('10.88.0.4')), ports: [{ name: 'http', port: 8080, protocol: 'UDP' as const }] },
      { ...slice(endpoint('10.88.0.5')), ports: [] },
    ];
    expect(led(compute(service(), ...others))).toEqual({ '10.96.0.7 . tcp . 80': [] });
  });

  test('a policy Local leaves those of this node, of the side that it is for', () => {
    const both = slice(endpoint('10.88.0.2'), endpoint('192.0.2.2', ready, 'elsewhere'), {
      addresses: ['192.0.2.3'],
    });
    const spec: Partial<ServiceSpec> = { type: 'NodePort', ports: [{ ...http, nodePort: 30080 }] };
    const all = ['10.88.0.2 . 8080', '192.0.2.2 . 8080', '192.0.2.3 . 8080'];
    expect(led(compute(service({ ...spec, internalTrafficPolicy: 'Local' }), both))).toEqual({
      '10.96.0.7 . tcp . 80': ['10.88.0.2 . 8080'],
      'tcp . 30080': all,
    });
    expect(led(compute(service({ ...spec, externalTrafficPolicy: 'Local' }), both))).toEqual({
      '10.96.0.7 . tcp . 80': all,
      'tcp . 30080': ['10.88.0.2 . 8080'],
    });
  });
});

describe('what a Service is reached at', () => {
  test('cluster address, node port, external addresses and load balancer', () => {
    const rules = compute(
      service(
        {
          type: 'LoadBalancer',
          externalIPs: ['192.0.2.9', 'fd00::9'],
          ports: [
            { ...http, nodePort: 30080 },
            { name: 'dns', port: 53, protocol: 'UDP', nodePort: 30053 },
          ],
        },
        {
          status: {
            loadBalancer: {
              ingress: [{ ip: '192.0.2.1' }, { ip: '192.0.2.2', ipMode: 'Proxy' }, { hostname: 'lb.example' }],
            },
          },
        },
      ),
      slice(endpoint('10.88.0.2')),
    );
    expect(led(rules)).toEqual({
      '10.96.0.7 . tcp . 80': ['10.88.0.2 . 8080'],
      '192.0.2.9 . tcp . 80': ['10.88.0.2 . 8080'],
      '192.0.2.1 . tcp . 80': ['10.88.0.2 . 8080'],
      'tcp . 30080': ['10.88.0.2 . 8080'],
      '10.96.0.7 . udp . 53': [],
      '192.0.2.9 . udp . 53': [],
      '192.0.2.1 . udp . 53': [],
      'udp . 30053': [],
    });
    expect(rules.clusterIPs).toEqual(['10.96.0.7']);
  });

  test.each([
    ['headless', service({ clusterIP: 'None', clusterIPs: ['None'] })],
    ['a name of something else', service({ type: 'ExternalName', externalName: 'example.com' })],
    [
      "another proxy's",
      service(
        {},
        { metadata: { namespace: 'shop', name: 'web', labels: { 'service.kubernetes.io/service-proxy-name': 'x' } } },
      ),
    ],
  ])('nothing when %s', (_, s) => {
    const rules = compute(s, slice(endpoint('10.88.0.2')));
    expect(led(rules)).toEqual({});
    expect(rules.clusterIPs).toEqual([]);
  });

  test('SCTP ports are as those of the other protocols', () => {
    const ports: ServicePort[] = [http, { name: 's', port: 90, protocol: 'SCTP', nodePort: 30090 }];
    const rules = compute(service({ type: 'NodePort', ports }), {
      ...slice(endpoint('10.88.0.2')),
      ports: [{ name: 's', port: 9090, protocol: 'SCTP' }],
    });
    expect(led(rules)).toEqual({
      '10.96.0.7 . tcp . 80': [],
      '10.96.0.7 . sctp . 90': ['10.88.0.2 . 9090'],
      'sctp . 30090': ['10.88.0.2 . 9090'],
    });
  });
});

test('a load balancer for some clients only: ranges within others are left out', () => {
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } };
  const loadBalancerSourceRanges = ['203.0.113.7/32', '10.1.0.0/16', '10.0.0.0/8', '10.0.0.0/8', 'fd00::/8'];
  const rules = compute(
    service({ type: 'LoadBalancer', externalIPs: ['192.0.2.9'], loadBalancerSourceRanges }, { status }),
  );
  expect(rules.guarded).toEqual(['192.0.2.1 . tcp . 80']);
  expect(rules.allowed).toEqual(['192.0.2.1 . tcp . 80 . 10.0.0.0/8', '192.0.2.1 . tcp . 80 . 203.0.113.7/32']);
});

test.each([
  ['everybody, when none are named', [], [], []],
  ['nobody, when no range is one', ['bogus', '203.0.113.0/33', 'fd00::/8'], ['192.0.2.1 . tcp . 80'], []],
  [
    'the others, when one is none',
    ['x', '10.0.0.0/8'],
    ['192.0.2.1 . tcp . 80'],
    ['192.0.2.1 . tcp . 80 . 10.0.0.0/8'],
  ],
])('who may use a load balancer: %s', (_, loadBalancerSourceRanges, guarded, allowed) => {
  const status = { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } };
  const rules = compute(service({ type: 'LoadBalancer', loadBalancerSourceRanges }, { status }));
  expect(rules.guarded).toEqual(guarded);
  expect(rules.allowed).toEqual(allowed);
});

test('endpoints outside of the pod network are named, so that they answer through this host', () => {
  const rules = compute(
    service(),
    slice(endpoint('10.88.0.2'), endpoint('192.0.2.2'), endpoint('192.0.2.3', notReady)),
  );
  expect(rules.distant).toEqual(['192.0.2.2 . tcp . 8080']);
});

test('endpoints that stay keep their places', () => {
  const addresses = (...last: number[]): EndpointSlice => slice(...last.map((n) => endpoint(`10.88.0.${n}`)));
  const next = (rules: ServiceRules | undefined, ...last: number[]): ServiceRules =>
    computeServiceRules(service(), [addresses(...last)], node, rules);
  const order = (rules: ServiceRules): string =>
    rules.frontends
      .get('10.96.0.7 . tcp . 80')!
      .endpoints.map((e) => e.split(' ')[0]!.slice(8))
      .join(' ');
  let rules = next(undefined, 1, 2, 3, 4);
  expect(order(rules)).toBe('1 2 3 4');
  rules = next(rules, 1, 3, 4);
  expect(order(rules)).toBe('1 4 3');
  rules = next(rules, 1, 2, 3, 4);
  expect(order(rules)).toBe('1 4 3 2');
  rules = next(rules, 5);
  expect(order(rules)).toBe('5');
});

describe('sessionAffinity: ClientIP', () => {
  const sticky = service({
    type: 'NodePort',
    ports: [{ ...http, nodePort: 30080 }],
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 20 } },
  });

  test('a chain that looks for the client first, one for each endpoint, and a set of its clients', () => {
    const rules = compute(sticky, slice(endpoint('10.88.0.2'), endpoint('10.88.0.3')));
    const [a, b] = [...rules.frontends.values()];
    expect(a!.stickyChain).toMatch(/^svc-sticky-[0-9a-f]{12}$/);
    // Both kinds of frontend share what they know of a client.
    expect(b!.stickyChain).toBe(a!.stickyChain);
    const name = a!.stickyChain!;
    expect(Object.fromEntries(rules.sets)).toEqual({
      [`${name}-10.88.0.2-8080-20s`]: 'type ipv4_addr; flags dynamic,timeout; timeout 20s;',
      [`${name}-10.88.0.3-8080-20s`]: 'type ipv4_addr; flags dynamic,timeout; timeout 20s;',
    });
    expect(rules.chains.get(name)).toEqual([
      `ip saddr @${name}-10.88.0.2-8080-20s goto ${name}-10.88.0.2-8080`,
      `ip saddr @${name}-10.88.0.3-8080-20s goto ${name}-10.88.0.3-8080`,
      `numgen random mod 2 vmap { 0 : goto ${name}-10.88.0.2-8080, 1 : goto ${name}-10.88.0.3-8080 }`,
    ]);
    expect(rules.chains.get(`${name}-10.88.0.2-8080`)).toEqual([
      `meta l4proto tcp update @${name}-10.88.0.2-8080-20s { ip saddr } dnat ip to 10.88.0.2:8080`,
    ]);
  });

  test('no chain without an endpoint', () => {
    const rules = compute(sticky, slice());
    expect(rules.chains.size + rules.sets.size).toBe(0);
    expect([...rules.frontends.values()].map((f) => f.stickyChain)).toEqual([undefined, undefined]);
  });
});
