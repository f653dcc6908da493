import { afterEach, describe, expect, test } from 'vitest';
import type { Endpoint, EndpointSlice, ObjectReference, Pod, Service } from '../api/generated/types.ts';
import { ENDPOINTSLICES, SERVICES } from '../api/resources.ts';
import { FakeKubeClient } from '../client/fake-kube-client.ts';
import { UserError } from '../lib/errors.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { UdpFlows } from '../lib/udp-flows.ts';
import { Proxier } from './proxier.ts';

const TABLE = 'kl-test';
const stopping: AbortController[] = [];

afterEach(() => {
  for (const controller of stopping.splice(0)) controller.abort();
});

interface Batch {
  readonly script: string;
  /** Whether it made everything anew. */
  readonly anew: boolean;
}

function setUp() {
  const clock = new FakeClock();
  const client = new FakeKubeClient(clock);
  const batches: Batch[] = [];
  const events: string[] = [];
  /** What happens to the next scripts; by default they succeed. */
  const outcomes: ((script: string) => unknown)[] = [];
  let listed = JSON.stringify({ nftables: [] });
  /** What conntrack was asked. */
  const flows: string[] = [];
  const run = async (script: string, anew: boolean): Promise<string> => {
    batches.push({ script, anew });
    await outcomes.shift()?.(script);
    return '';
  };
  const proxier = new Proxier({
    client,
    clock,
    logger: silentLogger,
    events: {
      record: ({ namespace, name }: ObjectReference, type, reason, message) =>
        events.push(`${namespace}/${name} ${type} ${reason} ${message}`),
    },
    layout: { nftTable: TABLE },
    bridge: 'br-test',
    node: { nodeName: 'here', podCIDR: '10.88.0.0/16' },
    routeLocalnet: async () => {},
    udpFlows: new UdpFlows(silentLogger, {
      conntrack: async (args) => {
        flows.push(args.join(' '));
        return '';
      },
      addresses: () => [],
    }),
    nft: async (args, script) => (args.includes('list') ? listed : run(script!, true)),
    session: { run: async (lines) => void (await run(lines.join('\n'), false)), close: () => {} },
  });
  const controller = new AbortController();
  stopping.push(controller);
  return {
    clock,
    client,
    batches,
    events,
    flows,
    outcomes,
    proxier,
    list: (json: object) => {
      listed = JSON.stringify(json);
    },
    start: async () => {
      void proxier.run(controller.signal);
      await clock.advance(0);
    },
  };
}

const service = (name: string, n: number): Service => ({
  metadata: { namespace: 'shop', name },
  spec: { clusterIPs: [`10.96.0.${n}`], ports: [{ port: 80 }] },
});
const pod = (name: string, n: number): Pod => ({
  metadata: { namespace: 'shop', name, uid: `uid-${name}` },
  spec: { containers: [] },
  status: { podIPs: [{ ip: `10.88.0.${n}` }] },
});
const endpoint = ({ metadata, status }: Pod, conditions: Endpoint['conditions'] = { ready: true }): Endpoint => ({
  addresses: [status!.podIPs![0]!.ip!],
  conditions,
  nodeName: 'here',
  targetRef: { kind: 'Pod', namespace: metadata.namespace, name: metadata.name, uid: metadata.uid },
});
const slice = (name: string, ...endpoints: Endpoint[]): EndpointSlice => ({
  metadata: { namespace: 'shop', name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
  addressType: 'IPv4',
  ports: [{ port: 8080 }],
  endpoints,
});
const a = pod('a', 2);
const b = pod('b', 3);
const ending: Endpoint['conditions'] = { ready: false, serving: true, terminating: true };

test('begins with everything, without what an earlier life left; then applies differences', async () => {
  const { client, clock, batches, list, start } = setUp();
  list({ nftables: [{ chain: { name: 'svc-old' } }, { map: { name: 'svc-old-map' } }, { chain: { name: 'guard' } }] });
  await client.create(SERVICES, service('web', 7));
  await client.create(ENDPOINTSLICES, slice('web', endpoint(a), endpoint(b)));
  await start();
  expect(batches).toHaveLength(1);
  const { script, anew } = batches[0]!;
  expect(anew).toBe(true);
  expect(script).toContain(`delete chain ip ${TABLE} svc-old\n`);
  expect(script).toContain(`delete map ip ${TABLE} svc-old-map\n`);
  expect(script).not.toContain(' guard\n');
  expect(script).toContain('{ 10.96.0.7 . 80 . 0 : 10.88.0.2 . 8080, 10.96.0.7 . 80 . 1 : 10.88.0.3 . 8080 }');

  await client.update(ENDPOINTSLICES, slice('web', endpoint(a)));
  await clock.advance(0);
  expect(batches.slice(1)).toEqual([
    {
      anew: false,
      script: [
        `add chain ip ${TABLE} svc-pick-address-tcp-1`,
        `add rule ip ${TABLE} svc-pick-address-tcp-1 dnat ip to ip daddr . tcp dport . numgen random mod 1 map @svc-address-tcp`,
        `delete element ip ${TABLE} svc-addresses { 10.96.0.7 . tcp . 80 }`,
        `delete element ip ${TABLE} svc-address-tcp { 10.96.0.7 . 80 . 1 }`,
        `add element ip ${TABLE} svc-addresses { 10.96.0.7 . tcp . 80 : goto svc-pick-address-tcp-1 }`,
      ].join('\n'),
    },
  ]);
});

test('what comes while a batch is applied is applied together, right after it', async () => {
  const { client, clock, batches, outcomes, start } = setUp();
  await start();
  let finish = (): void => {};
  outcomes.push(() => new Promise<void>((resolve) => (finish = resolve)));
  await client.create(SERVICES, service('one', 1));
  await clock.advance(0);
  for (const n of [2, 3, 4]) await client.create(SERVICES, service(`more-${n}`, n));
  await clock.advance(0);
  expect(batches).toHaveLength(2);
  finish();
  await clock.advance(0);
  expect(batches).toHaveLength(3);
  for (const n of [2, 3, 4]) expect(batches[2]!.script).toContain(`10.96.0.${n}`);
});

test('a change that is none for the kernel is no batch', async () => {
  const { client, clock, batches, start } = setUp();
  await client.create(SERVICES, service('web', 7));
  await start();
  await client.update(SERVICES, {
    ...service('web', 7),
    metadata: { ...service('web', 7).metadata, labels: { x: 'y' } },
  });
  await clock.advance(0);
  expect(batches).toHaveLength(1);
});

test('a batch that fails is followed by everything anew', async () => {
  const { client, clock, batches, outcomes, events, start } = setUp();
  await start();
  outcomes.push(() => Promise.reject(new Error('No such file or directory')));
  await client.create(SERVICES, service('web', 7));
  await clock.advance(0);
  expect(batches.map((batch) => batch.anew)).toEqual([true, false, true]);
  expect(batches[2]!.script).toContain('10.96.0.7');
  expect(events).toEqual([]);
});

test('the table that somebody removed is made anew when told', async () => {
  const { client, clock, batches, proxier, start } = setUp();
  await client.create(SERVICES, service('web', 7));
  await start();
  proxier.rebuild('flushed');
  await clock.advance(0);
  expect(batches).toHaveLength(2);
  expect(batches[1]).toEqual(batches[0]);
});

test('a Service that the kernel refuses gets an event, and the others their rules', async () => {
  const { client, batches, outcomes, events, start } = setUp();
  for (const n of [1, 2, 3, 4, 5]) await client.create(SERVICES, service(`s${n}`, n));
  const refuseThird = (script: string): void => {
    if (script.includes('10.96.0.3')) throw new Error('Error: bad element');
  };
  outcomes.push(...Array.from({ length: 20 }, () => refuseThird));
  await start();
  expect(events).toEqual(['shop/s3 Warning FailedRouting The kernel refuses its rules: Error: bad element']);
  const applied = batches.map((batch) => batch.script).filter((script) => !script.includes('10.96.0.3'));
  for (const n of [1, 2, 4, 5]) expect(applied.join('\n')).toContain(`10.96.0.${n}`);
});

test('what worked before stands while a new Service is refused', async () => {
  const { client, clock, batches, outcomes, start } = setUp();
  await client.create(SERVICES, service('good', 1));
  await start();
  const refuse = (script: string): void => {
    if (script.includes('10.96.0.3')) throw new Error('Error: bad element');
  };
  outcomes.push(...Array.from({ length: 20 }, () => refuse));
  await client.create(SERVICES, service('bad', 3));
  await clock.advance(0);
  const anew = batches.filter((batch) => batch.anew);
  // None of the states in between was without it.
  expect(anew.length).toBeGreaterThan(1);
  for (const { script } of anew) expect(script).toContain('10.96.0.1');
});

test('without nft: an event on each Service, and another try later, and later', async () => {
  const { client, clock, batches, outcomes, events, proxier, start } = setUp();
  const missing = (): never => {
    throw new UserError('nft is not installed');
  };
  outcomes.push(missing, missing);
  await client.create(SERVICES, service('web', 7));
  await start();
  expect(events).toEqual(['shop/web Warning FailedRouting Not reachable at its addresses: nft is not installed']);
  await clock.advance(250);
  expect(batches).toHaveLength(2);
  await clock.advance(499);
  expect(batches).toHaveLength(2);
  await clock.advance(1);
  expect(batches).toHaveLength(3);
  await proxier.synced;
});

test('two Services that want the same: the older has it, the younger hears of it', async () => {
  const { client, clock, events, start } = setUp();
  const external = (name: string, n: number): Service => ({
    ...service(name, n),
    spec: { ...service(name, n).spec, externalIPs: ['192.0.2.1'] },
  });
  await client.create(SERVICES, external('z-old', 1));
  await clock.advance(2000);
  await client.create(SERVICES, external('a-new', 2));
  await start();
  expect(events).toEqual(['shop/a-new Warning FailedRouting TCP 192.0.2.1:80 leads to Service shop/z-old already']);
});

describe('a pod that is being deleted', () => {
  async function routed(...pods: Pod[]) {
    const world = setUp();
    await world.client.create(SERVICES, service('web', 7));
    await world.client.create(ENDPOINTSLICES, slice('web', ...pods.map((p) => endpoint(p))));
    await world.start();
    const waiting = (target: Pod) => {
      let isDone = false;
      void world.proxier.waitUnrouted(target).then(() => {
        isDone = true;
      });
      return async (): Promise<boolean> => {
        await world.clock.advance(0);
        return isDone;
      };
    };
    return { ...world, waiting };
  }

  test('that no Service leads to is not held up', async () => {
    const { waiting } = await routed(a);
    expect(await waiting(b)()).toBe(true);
  });

  test('is unrouted once the kernel has it, not before', async () => {
    const { client, outcomes, waiting } = await routed(a, b);
    const isDone = waiting(b);
    expect(await isDone()).toBe(false);
    let finish = (): void => {};
    outcomes.push(() => new Promise<void>((resolve) => (finish = resolve)));
    await client.update(ENDPOINTSLICES, slice('web', endpoint(a), endpoint(b, ending)));
    expect(await isDone()).toBe(false);
    finish();
    expect(await isDone()).toBe(true);
  });

  test('that is the last one still gets traffic, and is not held up longer than until that is known', async () => {
    const { client, batches, waiting } = await routed(a);
    const isDone = waiting(a);
    expect(await isDone()).toBe(false);
    await client.update(ENDPOINTSLICES, slice('web', endpoint(a, ending)));
    expect(await isDone()).toBe(true);
    expect(batches).toHaveLength(1);
  });

  test('is held up for a second at most, whatever is broken', async () => {
    const { clock, waiting } = await routed(a, b);
    const isDone = waiting(b);
    await clock.advance(999);
    expect(await isDone()).toBe(false);
    await clock.advance(1);
    expect(await isDone()).toBe(true);
  });

  test('a Service without a selector does not hold it up', async () => {
    const { client, waiting, clock } = await routed();
    await client.update(ENDPOINTSLICES, slice('web', { addresses: ['10.88.0.2'] }));
    await clock.advance(0);
    expect(await waiting(a)()).toBe(true);
  });
});

test('UDP flows are looked through when a frontend begins to lead somewhere, and after a start; ended when an endpoint goes', async () => {
  const { client, clock, flows, start } = setUp();
  const ports = [{ port: 53, protocol: 'UDP' as const }];
  const dns = (externalIPs: string[]): Service => ({
    ...service('dns', 7),
    spec: { clusterIPs: ['10.96.0.7'], externalIPs, ports },
  });
  const udp = (...endpoints: Endpoint[]): EndpointSlice => ({ ...slice('dns', ...endpoints), ports });
  await client.create(SERVICES, dns([]));
  await client.create(ENDPOINTSLICES, udp(endpoint(a)));
  await start();
  expect(flows.splice(0)).toEqual(['-L -f ipv4 -p udp --orig-port-dst 53']);
  await client.update(ENDPOINTSLICES, udp(endpoint(a), endpoint(b)));
  await clock.advance(0);
  expect(flows).toEqual([]);
  await client.update(SERVICES, dns(['192.0.2.1']));
  await clock.advance(0);
  expect(flows.splice(0)).toEqual(['-L -f ipv4 -p udp --orig-port-dst 53']);
  await client.update(ENDPOINTSLICES, udp(endpoint(b)));
  await clock.advance(0);
  expect(flows.splice(0)).toEqual(['-D -p udp --reply-src 10.88.0.2 --reply-port-src 53']);
});

test('counts ready endpoints of this node for load balancers, and knows whether the kernel has the rules', async () => {
  const { client, clock, proxier, outcomes, start } = setUp();
  expect(proxier.isHealthy()).toBe(false);
  const elsewhere = { ...endpoint(pod('c', 4)), nodeName: 'elsewhere' };
  await client.create(SERVICES, service('web', 7));
  await client.create(ENDPOINTSLICES, slice('web', endpoint(a), endpoint(b, { ready: false }), elsewhere));
  const moving = slice('web', endpoint(a));
  await client.create(ENDPOINTSLICES, { ...moving, metadata: { ...moving.metadata, name: 'web-2' } });
  await start();
  expect([proxier.isHealthy(), proxier.localReadyEndpoints('shop/web')]).toEqual([true, 1]);
  expect(proxier.localReadyEndpoints('shop/other')).toBe(0);
  const fail = (): never => {
    throw new UserError('no right to use nft');
  };
  outcomes.push(fail);
  await client.update(ENDPOINTSLICES, slice('web', endpoint(a), endpoint(b)));
  await clock.advance(0);
  expect([proxier.isHealthy(), proxier.localReadyEndpoints('shop/web')]).toEqual([false, 2]);
  await clock.advance(250);
  expect(proxier.isHealthy()).toBe(true);
});
