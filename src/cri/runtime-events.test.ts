import { expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { CriError } from './cri-error.ts';
import { FakeRuntime } from './fake-runtime-service.ts';
import { Envelope, TaskExit, TaskOOM, TaskStart } from './generated/containerd-events.ts';
import {
  ContainerConfig,
  ContainerEventResponse,
  ContainerEventType,
  ContainerState,
  PodSandboxConfig,
} from './generated/cri.ts';
import type { Rpc } from './grpc/codec.ts';
import type { GrpcClient } from './grpc/grpc-client.ts';
import { runtimeEvents, translateTaskEvent } from './runtime-events.ts';
import type { RuntimeEvent } from './runtime-service.ts';

const envelope = (topic: string, value: Uint8Array): Envelope =>
  Envelope.fromPartial({ topic, namespace: 'k8s.io', event: { typeUrl: 'x', value } });

it("translates containerd's task events", () => {
  const start = TaskStart.encode({ containerId: 'c', pid: 1 }).finish();
  expect(translateTaskEvent(envelope('/tasks/start', start))).toEqual({ type: 'containerStarted', containerId: 'c' });
  const oom = TaskOOM.encode({ containerId: 'c' }).finish();
  expect(translateTaskEvent(envelope('/tasks/oom', oom))).toEqual({ type: 'containerOOM', containerId: 'c' });
  const exit = { containerId: 'c', id: 'c', pid: 1, exitStatus: 137, exitedAt: { seconds: 1_700_000_000n, nanos: 5 } };
  expect(translateTaskEvent(envelope('/tasks/exit', TaskExit.encode(exit).finish()))).toEqual({
    type: 'containerExited',
    containerId: 'c',
    exitCode: 137,
    exitedAt: 1_700_000_000_000_000_005n,
  });
});

it('ignores the exit of an exec, and topics it does not know', () => {
  const exec = { containerId: 'c', id: 'exec-1', pid: 1, exitStatus: 0, exitedAt: undefined };
  expect(translateTaskEvent(envelope('/tasks/exit', TaskExit.encode(exec).finish()))).toBeUndefined();
  expect(translateTaskEvent(envelope('/kubelette/subscribed', new Uint8Array()))).toBeUndefined();
});

/** A gRPC client whose streams are `streams`, one per connection; without one left the method is unimplemented. */
function fakeGrpc(streams: (() => AsyncGenerator<unknown>)[]): { grpc: GrpcClient; paths: string[] } {
  const paths: string[] = [];
  const grpc = {
    unary: async () => ({}),
    serverStream: (rpc: Rpc<unknown, unknown>) => {
      paths.push(rpc.path.slice(rpc.path.lastIndexOf('/') + 1));
      const stream = streams.shift();
      if (stream) return stream();
      const unimplemented = new CriError('UNIMPLEMENTED', 'GetContainerEvents', 'unknown method');
      return { next: () => Promise.reject(unimplemented), [Symbol.asyncIterator]: () => {} };
    },
  };
  return { grpc: grpc as unknown as GrpcClient, paths };
}

function read(grpc: GrpcClient, fake: FakeRuntime, clock: FakeClock) {
  const abort = new AbortController();
  const seen: RuntimeEvent[] = [];
  const reading = (async () => {
    const context = { grpc, runtime: fake.runtime, clock, logger: silentLogger };
    for await (const event of runtimeEvents(context, abort.signal)) seen.push(event);
  })();
  return {
    seen,
    stop: async () => {
      abort.abort();
      await clock.advance(0);
      await reading;
    },
  };
}

const pod = PodSandboxConfig.fromPartial({ metadata: { name: 'pod', namespace: 'ns', uid: 'u' } });

async function startOne(fake: FakeRuntime): Promise<string> {
  const sandbox = await fake.runtime.runPodSandbox(pod, '');
  const id = await fake.runtime.createContainer(
    sandbox,
    ContainerConfig.fromPartial({ metadata: { name: 'app' } }),
    pod,
  );
  await fake.runtime.startContainer(id);
  return id;
}

it('polls a runtime that has no events: often after a change, seldom while nothing happens', async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock });
  const { grpc } = fakeGrpc([]);
  const { seen, stop } = read(grpc, fake, clock);
  await clock.advance(0);
  const id = await startOne(fake);
  await clock.advance(1000);
  fake.exit(id, 3);
  await clock.advance(1000);
  expect(seen.filter((e) => e.type !== 'resync')).toEqual([
    { type: 'containerStarted', containerId: id },
    { type: 'containerExited', containerId: id, exitCode: 3, exitedAt: BigInt(clock.now() - 1000) * 1_000_000n },
  ]);
  expect(seen[0]).toEqual({ type: 'resync' });
  const polls = () => fake.calls.filter((c) => c.method === 'listContainers').length;
  await clock.advance(10_000);
  const before = polls();
  await clock.advance(10_000);
  expect(polls() - before).toBe(10);
  await stop();
});

it('takes a container that came and went between two polls for started and exited', async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock });
  const { grpc } = fakeGrpc([]);
  const { seen, stop } = read(grpc, fake, clock);
  await clock.advance(0);
  const id = await startOne(fake);
  fake.exit(id, 0);
  await clock.advance(1000);
  expect(seen.map((e) => e.type).filter((type) => type !== 'resync')).toEqual(['containerStarted', 'containerExited']);
  await stop();
});

it("takes CRI's own events, asks for an exit code that they leave out, and comes back after an end with resync", async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock });
  const gone = await startOne(fake);
  fake.exit(gone, 9);
  const { CONTAINER_STARTED_EVENT, CONTAINER_STOPPED_EVENT, CONTAINER_CREATED_EVENT } = ContainerEventType;
  const stopped = { id: 'a', state: ContainerState.CONTAINER_EXITED, exitCode: 4, finishedAt: 7n };
  const told = [
    { containerId: 'a', containerEventType: CONTAINER_CREATED_EVENT },
    { containerId: 'a', containerEventType: CONTAINER_STARTED_EVENT },
    { containerId: 'a', containerEventType: CONTAINER_STOPPED_EVENT, containersStatuses: [stopped] },
    { containerId: gone, containerEventType: CONTAINER_STOPPED_EVENT },
    { containerId: 'removed', containerEventType: CONTAINER_STOPPED_EVENT },
  ];
  const { grpc, paths } = fakeGrpc([
    async function* () {
      for (const event of told) yield ContainerEventResponse.fromPartial(event);
      throw new CriError('UNAVAILABLE', 'GetContainerEvents', 'the connection broke');
    },
    async function* () {
      yield ContainerEventResponse.fromPartial({ containerId: 'b', containerEventType: CONTAINER_STARTED_EVENT });
      await new Promise(() => {});
    },
  ]);
  const { seen } = read(grpc, fake, clock);
  await clock.advance(1000);
  expect(seen).toEqual([
    { type: 'resync' },
    { type: 'containerStarted', containerId: 'a' },
    { type: 'containerExited', containerId: 'a', exitCode: 4, exitedAt: 7n },
    expect.objectContaining({ type: 'containerExited', containerId: gone, exitCode: 9 }),
    { type: 'resync' },
    { type: 'containerStarted', containerId: 'b' },
  ]);
  expect(paths).toEqual(['GetContainerEvents', 'GetContainerEvents']);
});

it('asks again, ever less often, while the runtime is away', async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock });
  fake.disconnect();
  const { grpc } = fakeGrpc([]);
  const { seen, stop } = read(grpc, fake, clock);
  await clock.advance(10_000);
  const tries = fake.calls.filter((c) => c.method === 'version').map((c) => c.atMs);
  expect(tries.slice(0, 5)).toEqual([0, 20, 60, 140, 300]);
  expect(tries.at(-1)! - tries.at(-2)!).toBe(1000);
  expect(seen).toEqual([]);
  fake.reconnect();
  await clock.advance(1000);
  expect(seen).toEqual([{ type: 'resync' }]);
  await stop();
});
