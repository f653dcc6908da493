import { describe, expect, it, vi } from 'vitest';
import { FakeRuntime } from '../../cri/fake-runtime-service.ts';
import { ContainerConfig, PodSandboxConfig } from '../../cri/generated/cri.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { silentLogger } from '../../lib/logger.ts';
import { LABELS } from '../runtime-status.ts';
import { OWNER_LABEL, Pleg } from './pleg.ts';

const POD = { podUID: 'u', namespace: 'n', name: 'p' };
const LABELED = { [LABELS.podUID]: 'u', [LABELS.podNamespace]: 'n', [LABELS.podName]: 'p' };

async function setUp(options: { exitReportLagMs?: number } = {}) {
  const clock = new FakeClock();
  const fake = new FakeRuntime({ clock, ...options });
  const changes: string[] = [];
  const words: string[] = [];
  const pleg = new Pleg({
    runtime: fake.runtime,
    clock,
    logger: silentLogger,
    owner: 'me',
    onChange: (uid) => changes.push(uid),
    readMessage: async (_status, exitCode) => {
      words.push(`read ${exitCode}`);
      return exitCode === 0 ? 'bye' : '';
    },
  });
  const config = PodSandboxConfig.fromPartial({
    metadata: { name: 'p', namespace: 'n', uid: 'u', attempt: 0 },
    labels: { ...LABELED, [OWNER_LABEL]: 'me' },
  });
  const sandbox = await fake.runtime.runPodSandbox(config, '');
  const create = (name: string) =>
    fake.runtime.createContainer(
      sandbox,
      ContainerConfig.fromPartial({ metadata: { name, attempt: 3 }, image: { image: 'x' }, labels: LABELED }),
      config,
    );
  const stop = new AbortController();
  const start = async (): Promise<void> => {
    const started = pleg.start(stop.signal);
    await clock.advance(0);
    await started;
  };
  return { clock, fake, pleg, changes, words, sandbox, create, start, states: () => states(pleg) };
}

function states(pleg: Pleg): string[] {
  return pleg.status(POD).containers.map((c) => `${c.name} ${c.state} ${c.exitCode} ${c.reason}`);
}

describe('Pleg', () => {
  it('takes back a start that an agent before us did not live to see, without counting it', async () => {
    const t = await setUp();
    const words = 'failed to create containerd task: failed to start shim: start failed: : signal: killed: unknown';
    t.fake.onStart('a', { startError: words });
    const abandoned = await t.create('a');
    await expect(t.fake.runtime.startContainer(abandoned)).rejects.toThrow();
    t.fake.onStart('b', { startError: 'exec: no such file' });
    await expect(t.fake.runtime.startContainer(await t.create('b'))).rejects.toThrow();
    await t.start();
    expect(t.states()).toEqual(['b exited 128 StartError']);
    expect(await t.fake.runtime.listContainers({ id: abandoned })).toEqual([]);
  });

  it('adopts what runs', async () => {
    const t = await setUp();
    const id = await t.create('a');
    await t.fake.runtime.startContainer(id);
    await t.start();
    expect(t.pleg.podUIDs()).toEqual(['u']);
    expect(t.pleg.identity('u')).toEqual(POD);
    expect(t.pleg.status(POD).sandboxes).toMatchObject([{ id: t.sandbox, ready: true, ips: ['10.244.0.2'] }]);
    expect(t.pleg.status(POD).containers).toMatchObject([{ id, name: 'a', state: 'running', restartCount: 3 }]);
  });

  it('an exit counts when it is told, not when CRI says so; its last words follow', async () => {
    const t = await setUp({ exitReportLagMs: 70 });
    const id = await t.create('a');
    await t.fake.runtime.startContainer(id);
    await t.start();
    t.fake.exit(id, 0);
    await t.clock.advance(0);
    expect(t.states()).toEqual(['a exited 0 Completed']);
    expect(t.fake.container('a')!.state).toBe(1);
    expect(t.pleg.isSettled('u')).toBe(true);
    expect(t.pleg.status(POD).containers[0]!.message).toBe('bye');
    // The list that still shows it running does not bring it back.
    await t.pleg.relist();
    expect(t.states()).toEqual(['a exited 0 Completed']);
    await t.clock.advance(70);
    await t.pleg.relist();
    expect(t.states()).toEqual(['a exited 0 Completed']);
  });

  it('an exit that is told before its start has returned is not lost', async () => {
    const t = await setUp({ exitReportLagMs: 70 });
    await t.start();
    const id = await t.create('a');
    t.pleg.containerCreated('u', {
      id,
      name: 'a',
      sandboxId: t.sandbox,
      restartCount: 3,
      hash: '',
      image: 'x',
      imageRef: 'x',
    });
    await t.fake.runtime.startContainer(id);
    t.fake.exit(id, 4);
    await t.clock.advance(0);
    await t.pleg.containerStarted(id);
    expect(t.states()).toEqual(['a exited 4 Error']);
    expect(t.pleg.status(POD).containers[0]!.startedAt).toBe(t.clock.now());
  });

  it('an exit that is told while the start call is under way: CRI is asked once, when that has returned', async () => {
    const t = await setUp({ exitReportLagMs: 70 });
    await t.start();
    const id = await t.create('a');
    const about = { name: 'a', sandboxId: t.sandbox, restartCount: 3, hash: '', image: 'x', imageRef: 'x' };
    t.pleg.containerCreated('u', { id, ...about });
    const asked = vi.spyOn(t.fake.runtime, 'containerStatus');
    await t.pleg.whileStarting(
      id,
      async () => {
        await t.fake.runtime.startContainer(id);
        t.fake.exit(id, 4);
        await t.clock.advance(0);
        expect(t.states()).toEqual(['a exited 4 Error']);
      },
      false,
    );
    expect([asked.mock.calls.length, t.pleg.isSettled('u')]).toEqual([0, false]);
    await t.pleg.containerStarted(id);
    expect([asked.mock.calls.length, t.pleg.isSettled('u')]).toEqual([1, true]);
    expect(t.states()).toEqual(['a exited 4 Error']);
  });

  it('that a container runs is told at once, if it is awaited: its status was asked for before', async () => {
    const t = await setUp();
    await t.start();
    const id = await t.create('a');
    const about = { name: 'a', sandboxId: t.sandbox, restartCount: 3, hash: '', image: 'as written', imageRef: 'x' };
    t.pleg.containerCreated('u', { id, ...about });
    const start = async () => {
      await t.clock.advance(1);
      await t.fake.runtime.startContainer(id);
    };
    await t.pleg.whileStarting(id, start, true);
    const told = t.pleg.containerStarted(id);
    const seen = () => t.pleg.status({ podUID: 'u', namespace: 'n', name: 'p' }).containers[0];
    expect(t.pleg.isSettled('u')).toBe(true);
    expect(seen()).toMatchObject({ state: 'running', startedAt: t.clock.now() });
    expect(seen()?.image).not.toBe('as written');
    await told;
    expect(seen()?.state).toBe('running');
  });

  it('knows an out-of-memory kill, whichever is told first', async () => {
    const t = await setUp({ exitReportLagMs: 70 });
    const id = await t.create('a');
    await t.fake.runtime.startContainer(id);
    await t.start();
    t.fake.exit(id, 137, { oom: true });
    await t.clock.advance(0);
    expect(t.states()).toEqual(['a exited 137 OOMKilled']);
  });

  it('a lost event costs no more than ten seconds', async () => {
    const t = await setUp();
    const id = await t.create('a');
    await t.fake.runtime.startContainer(id);
    await t.start();
    t.fake.disconnect();
    t.fake.exit(id, 1);
    // Back without anybody telling.
    Object.assign(t.fake, { away: false });
    await t.clock.advance(9999);
    expect(t.states()).toEqual(['a running 0 ']);
    await t.clock.advance(1);
    expect(t.states()).toEqual(['a exited 1 Error']);
  });

  it('forgets what is gone, and tells only of what changed', async () => {
    const t = await setUp();
    const id = await t.create('a');
    await t.start();
    t.changes.length = 0;
    await t.clock.advance(30_000);
    expect(t.changes).toEqual([]);
    await t.fake.runtime.removeContainer(id);
    await t.clock.advance(10_000);
    expect(t.changes).toEqual(['u']);
    expect(t.states()).toEqual([]);
  });

  it('a sandbox that dies is not ready any more', async () => {
    const t = await setUp();
    await t.start();
    t.fake.killSandbox(t.sandbox);
    await t.clock.advance(10_000);
    expect(t.pleg.status(POD).sandboxes).toMatchObject([{ ready: false }]);
  });
});
