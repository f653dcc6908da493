import { expect, test } from 'vitest';
import { startTestServer } from '../../test/start-test-server.ts';
import { ENDPOINTSLICES, SERVICES } from '../api/resources.ts';
import { FakeKubeClient } from '../client/fake-kube-client.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { announceDns } from './dns-service.ts';

const verbs = (client: FakeKubeClient): string[] => client.writes.map(({ verb, resource }) => `${verb} ${resource}`);

test('is made once, left alone while it fits, and made anew for another address', async () => {
  const client = new FakeKubeClient(new FakeClock());
  await announceDns(client, '10.96.0.10');
  await announceDns(client, '10.96.0.10');
  expect(verbs(client)).toEqual(['create services', 'create endpointslices']);
  await announceDns(client, '10.97.0.10');
  expect(verbs(client).slice(2)).toEqual([
    'delete services',
    'create services',
    'delete endpointslices',
    'create endpointslices',
  ]);
  expect(client.all(SERVICES)).toMatchObject([
    { metadata: { name: 'kube-dns', namespace: 'kube-system' }, spec: { clusterIP: '10.97.0.10' } },
  ]);
  expect(client.all(ENDPOINTSLICES)).toMatchObject([{ endpoints: [{ addresses: ['10.97.0.10'] }] }]);
});

test('is made once on our API server too, which refuses an address that is taken before it looks at the name', async () => {
  const server = await startTestServer();
  try {
    await announceDns(server.client, '10.96.0.10');
    await announceDns(server.client, '10.96.0.10');
  } finally {
    await server.close();
  }
});
