import { expect, it } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { CriError } from './cri-error.ts';
import { type FakeExecResult, FakeRuntime } from './fake-runtime-service.ts';
import { ContainerConfig, ContainerState, PodSandboxConfig } from './generated/cri.ts';
import { BEHAVIOURS, COMMANDS, runtimeServiceCases } from './runtime-service.case.ts';
import type { RuntimeEvent } from './runtime-service.ts';

function exec(command: readonly string[]): FakeExecResult {
  switch (command.join(' ')) {
    case COMMANDS.speaks.join(' '):
      return { stdout: 'out\n', stderr: 'err\n', exitCode: 3 };
    case COMMANDS.lasts.join(' '):
      return { afterMs: 30_000 };
    default:
      return { error: `exec: "${command[0]}": stat ${command[0]}: no such file or directory: unknown` };
  }
}

runtimeServiceCases('FakeRuntime', async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock, exitReportLagMs: 70 });
  fake.images.add('docker.io/library/busybox:latest');
  fake.onStart('runs', { stopExitCode: 5, exec });
  fake.onStart('stubborn', { ignoreSigterm: true });
  fake.onStart('fails', { exitAfterMs: 100, exitCode: 7 });
  fake.onStart('prints', { output: 'one\ntwo\n', exitAfterMs: 1 });
  fake.onStart('missing', { startError: `exec: "${BEHAVIOURS.missing[0]}": no such file or directory: unknown` });
  return {
    runtime: fake.runtime,
    images: fake.images,
    image: 'docker.io/library/busybox:latest',
    cgroupParent: '/fake',
    logDirectory: '/var/log/pods',
    pass: (ms) => clock.advance(ms),
    readLog: async (path) => fake.logs.get(path) ?? '',
    restart: async () => {
      fake.disconnect();
      await expect(fake.runtime.version()).rejects.toMatchObject({ code: 'UNAVAILABLE', retriable: true });
      fake.reconnect();
    },
    close: async () => {},
  };
});

async function startOne(fake: FakeRuntime, name = 'app'): Promise<string> {
  const config = PodSandboxConfig.fromPartial({
    metadata: { name: 'pod', namespace: 'ns', uid: `u${fake.calls.length}` },
  });
  const sandbox = await fake.runtime.runPodSandbox(config, '');
  const container = ContainerConfig.fromPartial({ metadata: { name } });
  const id = await fake.runtime.createContainer(sandbox, container, config);
  await fake.runtime.startContainer(id);
  return id;
}

it('fails the next calls as told, in order, and records every call', async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock });
  fake.failNext('version', new CriError('UNAVAILABLE', 'Version', 'away'));
  fake.failNext('version', 'broken');
  await expect(fake.runtime.version()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await clock.advance(5);
  await expect(fake.runtime.version()).rejects.toMatchObject({ code: 'UNKNOWN', method: 'Version', message: 'broken' });
  await expect(fake.runtime.version()).resolves.toMatchObject({ runtimeName: 'fake' });
  expect(fake.calls.map((c) => [c.method, c.atMs])).toEqual([
    ['version', 0],
    ['version', 5],
    ['version', 5],
  ]);
});

it('gives successive starts successive behaviours', async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock });
  fake.onStart('app', { exitAfterMs: 10, exitCode: 1 }, {});
  await startOne(fake);
  await clock.advance(10);
  expect(fake.container('app')).toMatchObject({ state: ContainerState.CONTAINER_EXITED, exitCode: 1 });
  await startOne(fake);
  await clock.advance(1000);
  expect(fake.container('app')?.state).toBe(ContainerState.CONTAINER_RUNNING);
});

it('tells an exit before the status shows it, as containerd does', async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock, exitReportLagMs: 70 });
  const abort = new AbortController();
  const seen: RuntimeEvent[] = [];
  const reading = (async () => {
    for await (const event of fake.runtime.events(abort.signal)) seen.push(event);
  })();
  const id = await startOne(fake);
  await clock.advance(1000);
  fake.exit(id, 137, { oom: true });
  await clock.advance(69);
  expect(seen).toEqual([
    { type: 'resync' },
    { type: 'containerStarted', containerId: id },
    { type: 'containerOOM', containerId: id },
    { type: 'containerExited', containerId: id, exitCode: 137, exitedAt: BigInt(clock.now() - 69) * 1_000_000n },
  ]);
  expect((await fake.runtime.containerStatus(id)).state).toBe(ContainerState.CONTAINER_RUNNING);
  await clock.advance(1);
  expect(await fake.runtime.containerStatus(id)).toMatchObject({ exitCode: 137, reason: 'OOMKilled' });
  abort.abort();
  await reading;
});

it('takes time for a call when told to', async () => {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock });
  fake.latencyMs.pullImage = 1000;
  let pulled = '';
  const pull = fake.images.pullImage('nginx', undefined).then((ref) => {
    pulled = ref;
  });
  await clock.advance(999);
  expect(pulled).toBe('');
  await clock.advance(1);
  await pull;
  expect(pulled).toBe('sha256:nginx');
});
