import { expect, test } from 'vitest';
import type { Pod, Service, ServiceSpec } from '../../api/generated/types.ts';
import { SERVICES } from '../../api/resources.ts';
import { FakeKubeClient } from '../../client/fake-kube-client.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { apiLinkedServices, serviceEnvironment } from './service-env.ts';

const service = (name: string, spec: ServiceSpec, namespace = 'shop'): Service => ({
  metadata: { name, namespace },
  spec,
});
const redis = service('redis-main', {
  clusterIP: '10.96.0.11',
  ports: [
    { name: 'redis', port: 6379 },
    { name: 'gossip-port', port: 7000, protocol: 'UDP' },
  ],
});

test('host, ports and links', () => {
  expect(Object.fromEntries(serviceEnvironment([redis]))).toEqual({
    REDIS_MAIN_SERVICE_HOST: '10.96.0.11',
    REDIS_MAIN_SERVICE_PORT: '6379',
    REDIS_MAIN_SERVICE_PORT_REDIS: '6379',
    REDIS_MAIN_SERVICE_PORT_GOSSIP_PORT: '7000',
    REDIS_MAIN_PORT: 'tcp://10.96.0.11:6379',
    REDIS_MAIN_PORT_6379_TCP: 'tcp://10.96.0.11:6379',
    REDIS_MAIN_PORT_6379_TCP_PROTO: 'tcp',
    REDIS_MAIN_PORT_6379_TCP_PORT: '6379',
    REDIS_MAIN_PORT_6379_TCP_ADDR: '10.96.0.11',
    REDIS_MAIN_PORT_7000_UDP: 'udp://10.96.0.11:7000',
    REDIS_MAIN_PORT_7000_UDP_PROTO: 'udp',
    REDIS_MAIN_PORT_7000_UDP_PORT: '7000',
    REDIS_MAIN_PORT_7000_UDP_ADDR: '10.96.0.11',
  });
});

test('a Service without a cluster IP has none', () => {
  const headless = service('a', { clusterIP: 'None', ports: [{ port: 80 }] });
  const external = service('b', { type: 'ExternalName', externalName: 'example.com' });
  expect(serviceEnvironment([headless, external]).size).toBe(0);
});

test.each<[boolean | undefined, string, string[]]>([
  [undefined, 'shop', ['redis-main', 'kubernetes']],
  [false, 'shop', ['kubernetes']],
  [true, 'default', ['kubernetes']],
])('enableServiceLinks %s in %s', async (enableServiceLinks, namespace, names) => {
  const client = new FakeKubeClient(new FakeClock());
  await client.create(SERVICES, redis);
  await client.create(SERVICES, service('kubernetes', { clusterIP: '10.96.0.1' }, 'default'));
  client.list = async (resource, options) => ({
    metadata: {},
    items: client.all(resource).filter(({ metadata }) => metadata.namespace === options?.namespace),
  });
  const pod: Pod = { metadata: { name: 'p', namespace }, spec: { containers: [], enableServiceLinks } };
  const linked = await apiLinkedServices(client)(pod);
  expect(linked.map(({ metadata }) => metadata.name)).toEqual(names);
});
