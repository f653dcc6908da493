import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Service, ServicePort } from '../api/generated/types.ts';
import { SERVICES } from '../api/resources.ts';
import { FakeKubeClient } from '../client/fake-kube-client.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { NodePortHolder, type TakePort } from './node-port-holder.ts';

const clock = new FakeClock();
let client: FakeKubeClient;
let abort: AbortController;
let running: Promise<void>;
let told: string[];
let onTold = (): void => {};
/** What is taken now; of others, `TCP 30001`. */
let taken: Set<string>;

const takePort: TakePort = async (protocol, port) => {
  const name = `${protocol} ${port}`;
  if (taken.has(name)) throw Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' });
  taken.add(name);
  return () => taken.delete(name);
};

async function start(take?: TakePort): Promise<void> {
  abort = new AbortController();
  const record = (object: { name?: string | undefined }, type: string, reason: string, message: string): void => {
    told.push(`${object.name} ${type} ${reason} ${message}`);
    onTold();
  };
  const holder = new NodePortHolder({
    client,
    clock,
    logger: silentLogger,
    events: { record },
    ...(take && { takePort: take }),
  });
  running = holder.run(abort.signal);
  await clock.advance(0);
}
beforeEach(() => {
  client = new FakeKubeClient(clock);
  told = [];
  taken = new Set(['TCP 30001']);
});
afterEach(async () => {
  abort.abort();
  await running;
});

const service = (...ports: Partial<ServicePort>[]): Service =>
  ({ metadata: { namespace: 'default', name: 'web', uid: 'u' }, spec: { type: 'NodePort', ports } }) as Service;
const seen = async (): Promise<string[]> => {
  await clock.advance(0);
  return [...taken].sort();
};

test('ports are held as long as a Service has them', async () => {
  await start(takePort);
  await client.create(SERVICES, service({ nodePort: 30002 }, { nodePort: 30002, protocol: 'UDP' }, { port: 80 }));
  expect(await seen()).toEqual(['TCP 30001', 'TCP 30002', 'UDP 30002']);
  await client.update(SERVICES, service({ nodePort: 30003 }, { nodePort: 30002, protocol: 'UDP' }));
  expect(await seen()).toEqual(['TCP 30001', 'TCP 30003', 'UDP 30002']);
  await client.delete(SERVICES, { namespace: 'default', name: 'web' });
  expect(await seen()).toEqual(['TCP 30001']);
  await client.create(SERVICES, service({ nodePort: 30004 }));
  expect(await seen()).toEqual(['TCP 30001', 'TCP 30004']);
  abort.abort();
  await running;
  expect(await seen()).toEqual(['TCP 30001']);
  expect(told).toEqual([]);
});

test('a port that another program has is told once, and is not given back with the Service', async () => {
  await start(takePort);
  await client.create(SERVICES, service({ nodePort: 30001 }));
  await clock.advance(0);
  await client.update(SERVICES, service({ nodePort: 30001 }, { nodePort: 30005 }));
  expect(await seen()).toEqual(['TCP 30001', 'TCP 30005']);
  expect(told).toEqual([
    'web Warning NodePortInUse TCP node port 30001 is in use by another program of this machine, and who is reached there is not certain; see who has it with: ss -lntp sport = 30001',
  ]);
  await client.delete(SERVICES, { namespace: 'default', name: 'web' });
  expect(await seen()).toEqual(['TCP 30001']);
});

test('with the sockets of the system', async () => {
  const other = createServer();
  const port = await new Promise<number>((resolve) => {
    other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
  });
  await start();
  const heard = new Promise<void>((resolve) => {
    onTold = resolve;
  });
  await client.create(SERVICES, service({ nodePort: port }));
  await heard;
  expect(told).toEqual([expect.stringContaining(`TCP node port ${port} is in use`)]);
  other.close();
});
