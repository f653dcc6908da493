import { describe, expect, it } from 'vitest';
import type { Pod, PodStatus } from '../../api/generated/types.ts';
import { PODS } from '../../api/resources.ts';
import { FakeKubeClient } from '../../client/fake-kube-client.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { silentLogger } from '../../lib/logger.ts';
import { PodTraces } from '../../lib/pod-traces.ts';
import { StatusManager } from './status-manager.ts';

async function setUp() {
  const clock = new FakeClock();
  const client = new FakeKubeClient(clock);
  const acknowledged: string[] = [];
  const manager = new StatusManager({
    client,
    clock,
    logger: silentLogger,
    traces: new PodTraces(clock),
    onAcknowledged: (uid) => acknowledged.push(uid),
  });
  const pod = await client.create(PODS, {
    metadata: { name: 'p', namespace: 'n', uid: 'u' },
    spec: { containers: [], nodeName: 'node' },
    status: { phase: 'Pending' },
  } as Pod);
  const written = () => client.writes.filter((w) => w.subresource === 'status').map((w) => (w.object as Pod).status);
  const phases = () => written().map((status) => status?.phase);
  return { clock, client, manager, pod, acknowledged, written, phases };
}

describe('StatusManager', () => {
  it('writes what changed, once', async () => {
    const t = await setUp();
    t.manager.set(t.pod, { phase: 'Running' });
    t.manager.set(t.pod, { phase: 'Running' });
    await t.clock.advance(0);
    expect(t.phases()).toEqual(['Running']);
    expect(t.acknowledged).toEqual(['u']);
    expect(t.manager.acknowledged('u')).toEqual({ phase: 'Running' });
  });

  it('of several that come while one is written, only the newest', async () => {
    const t = await setUp();
    t.manager.set(t.pod, { phase: 'Running' });
    t.manager.set(t.pod, { phase: 'Running', message: 'between' });
    t.manager.set(t.pod, { phase: 'Succeeded' });
    await t.clock.advance(0);
    expect(t.phases()).toEqual(['Running', 'Succeeded']);
  });

  it('of a pod that starts, of several that come before the first is written, each', async () => {
    const t = await setUp();
    for (const message of ['first', 'between', 'last']) t.manager.set(t.pod, { phase: 'Pending', message });
    expect(t.written()).toEqual([]);
    await t.clock.advance(0);
    expect(t.written().map((status) => status?.message)).toEqual(['first', 'between', 'last']);
  });

  it('tries again until it is done', async () => {
    const t = await setUp();
    for (let i = 0; i < 4; i++) t.client.failNext(new Error('away'));
    t.manager.set(t.pod, { phase: 'Running' });
    await t.clock.advance(200 + 400 + 800);
    expect(t.phases()).toEqual([]);
    await t.clock.advance(1600);
    expect(t.phases()).toEqual(['Running']);
  });

  it('does not write to another pod of that name', async () => {
    const t = await setUp();
    t.manager.set({ ...t.pod, metadata: { ...t.pod.metadata, uid: 'before' } }, { phase: 'Running' });
    await t.clock.advance(10_000);
    expect(t.phases()).toEqual([]);
    expect(t.manager.status('before')).toBeUndefined();
  });

  it('deletes the object after its last status', async () => {
    const t = await setUp();
    await t.client.delete(PODS, { name: 'p', namespace: 'n' });
    t.manager.set(t.pod, { phase: 'Failed' });
    t.manager.finishDeletion(t.pod);
    await t.clock.advance(0);
    expect(t.client.writes.slice(-2).map((w) => [w.verb, (w.object as Pod).status?.phase])).toEqual([
      ['patch', 'Failed'],
      ['delete', 'Failed'],
    ]);
    expect(t.client.all(PODS)).toEqual([]);
  });

  it('an older state of the object that a watch brings late does not confuse it', async () => {
    const t = await setUp();
    t.manager.set(t.pod, { phase: 'Running', message: 'm' });
    await t.clock.advance(0);
    t.manager.observe(t.pod);
    t.manager.set(t.pod, { phase: 'Running' });
    await t.clock.advance(0);
    expect(t.client.all(PODS)[0]!.status).toEqual({ phase: 'Running' });
  });

  it('what somebody else wrote is put right, but for conditions that are not ours', async () => {
    const t = await setUp();
    const status: PodStatus = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
    t.manager.set(t.pod, status);
    await t.clock.advance(0);
    const theirs = { type: 'example.com/go', status: 'True' };
    const patch = { status: { phase: 'Failed', conditions: [{ type: 'Ready', status: 'False' }, theirs] } };
    const key = { name: 'p', namespace: 'n' };
    t.manager.observe(await t.client.patch(PODS, key, 'strategic', patch, { subresource: 'status' }));
    t.manager.set(t.pod, status);
    await t.clock.advance(0);
    expect(t.client.all(PODS)[0]!.status).toEqual({
      ...status,
      conditions: expect.arrayContaining([...status.conditions!, theirs]),
    });
    const before = t.written().length;
    t.manager.observe(t.client.all(PODS)[0]!);
    t.manager.set(t.pod, status);
    await t.clock.advance(0);
    expect(t.written()).toHaveLength(before);
  });
});
