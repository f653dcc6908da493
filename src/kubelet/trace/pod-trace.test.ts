import { expect, it } from 'vitest';
import type { Pod } from '../../api/generated/types.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { PodTraces } from '../../lib/pod-traces.ts';
import { podTrace } from './pod-trace.ts';

const pod = { metadata: { namespace: 'ns', name: 'p', uid: 'u' }, spec: { containers: [] } } as Pod;
const sandbox = { podUID: 'u', sandbox: true };
const app = { podUID: 'u', container: 'app', restartCount: 0 };

it('is a tree: section, then sandbox and containers, then what was done, in order of time', async () => {
  const clock = new FakeClock(1_000_000);
  const traces = new PodTraces(clock);
  await clock.advance(50);
  traces.created('u', 40);
  traces.note({ podUID: 'u' }, 'create', 'stored', 40, 42);
  traces.note(app, 'image', 'busybox', 43, 44);
  traces.note(sandbox, 'RunPodSandbox', undefined, 43.5, 60);
  traces.note(app, 'StartContainer', undefined, 70, 80);
  traces.note(app, 'CreateContainer', undefined, 61, 69);
  void traces.measure({ ...app, restartCount: 1 }, 'CreateContainer', () => new Promise(() => {}));
  const trace = podTrace(pod, traces.sections('u')!);
  expect(trace).toMatchObject({ namespace: 'ns', name: 'p', uid: 'u' });
  const [section] = trace.sections;
  expect(section).toMatchObject({ number: 0, cause: 'start', startedAt: 1_000_040, droppedSpans: 0 });
  expect(section).not.toHaveProperty('outcome');
  expect(section!.spans).toEqual([
    { id: 1, name: 'pod start', startMs: 0 },
    { id: 2, parent: 1, name: 'create', detail: 'stored', startMs: 0, durationMs: 2 },
    { id: 3, parent: 1, name: 'app', container: 'app', restartCount: 0, startMs: 3, durationMs: 37 },
    {
      id: 4,
      parent: 3,
      name: 'image',
      container: 'app',
      restartCount: 0,
      detail: 'busybox',
      startMs: 3,
      durationMs: 1,
    },
    { id: 5, parent: 3, name: 'CreateContainer', container: 'app', restartCount: 0, startMs: 21, durationMs: 8 },
    { id: 6, parent: 3, name: 'StartContainer', container: 'app', restartCount: 0, startMs: 30, durationMs: 10 },
    { id: 7, parent: 1, name: 'sandbox', startMs: 3.5, durationMs: 16.5 },
    { id: 8, parent: 7, name: 'RunPodSandbox', startMs: 3.5, durationMs: 16.5 },
    { id: 9, parent: 1, name: 'app (restart 1)', container: 'app', restartCount: 1, startMs: 10 },
    { id: 10, parent: 9, name: 'CreateContainer', container: 'app', restartCount: 1, startMs: 10 },
  ]);
});

it('says who ended, and what came of it', async () => {
  const clock = new FakeClock();
  const traces = new PodTraces(clock);
  traces.followed('u', false);
  traces.interrupted(app);
  traces.started(app);
  await clock.advance(7);
  traces.settled('u', 'Ready', 5);
  traces.interrupted(sandbox);
  const [first, second] = podTrace(pod, traces.sections('u')!).sections;
  expect(first).toMatchObject({ cause: 'containerEnded', container: 'app', outcome: 'Ready', durationMs: 7 });
  expect(first!.spans[0]).toEqual({ id: 1, name: 'app ended', startMs: 0, durationMs: 7 });
  expect(second).toMatchObject({ number: 1, cause: 'sandboxEnded' });
  expect(second).not.toHaveProperty('container');
});
