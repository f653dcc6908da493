import { expect, it } from 'vitest';
import { PODS } from '../../../src/api/resources.ts';
import { podTrace, type TraceSection } from '../../../src/kubelet/trace/pod-trace.ts';
import { TestKubelet } from './test-kubelet.ts';

const MANIFEST = `
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  initContainers: [{name: a, image: busybox}]
  containers: [{name: app, image: busybox, livenessProbe: {exec: {command: [x]}, periodSeconds: 1, failureThreshold: 1}}]
`;

/** `NAME START+DURATION` of each span, indented by its depth. */
function drawn({ spans }: TraceSection): string[] {
  const depth = new Map<number, number>();
  return spans.map((span) => {
    depth.set(span.id, span.parent === undefined ? 0 : depth.get(span.parent)! + 1);
    return `${'  '.repeat(depth.get(span.id)!)}${span.name} ${span.startMs}+${span.durationMs ?? '?'}`;
  });
}

it('tells where the time went in a start, and in a restart that a probe led to', async () => {
  let healthy = true;
  const prober = (t: TestKubelet) => async () => {
    await t.clock.sleep(3);
    return { outcome: healthy ? ('success' as const) : ('failure' as const), output: '' };
  };
  await using t = new TestKubelet({ prober });
  Object.assign(t.fake.latencyMs, { runPodSandbox: 100, createContainer: 10, startContainer: 50, stopContainer: 20 });
  t.fake.onStart('a', { exitAfterMs: 5, exitCode: 0 });
  await t.start();
  await t.apply(MANIFEST);
  await t.advance(300);
  const sections = () => podTrace(t.pod(), t.traces.sections('UID') ?? []).sections;
  expect(sections()[0]).toMatchObject({ cause: 'start', outcome: 'Ready' });
  expect(drawn(sections()[0]!)).toMatchInlineSnapshot(`
    [
      "pod start 0+215",
      "  seen by the kubelet 0+0",
      "  volumes 0+0",
      "  status write 0+0",
      "  sandbox 0+100",
      "    sandbox config 0+0",
      "    RunPodSandbox 0+100",
      "    PodSandboxStatus 100+0",
      "    host ports 100+0",
      "  a 0+165",
      "    image 0+0",
      "    container config 0+0",
      "    CreateContainer 100+10",
      "    StartContainer 110+50",
      "    ContainerStatus 110+0",
      "    ContainerStatus 160+0",
      "    running 160+5",
      "    exit seen 165+0",
      "  status write 100+0",
      "  volumes 110+0",
      "  app 110+108",
      "    image 110+0",
      "    container config 110+0",
      "    CreateContainer 110+10",
      "    StartContainer 165+50",
      "    ContainerStatus 165+0",
      "    ContainerStatus 215+0",
      "    liveness probe 215+3",
      "  status write 160+0",
      "  status write 165+0",
      "  status write 215+0",
      "  RemoveContainer 215+0",
    ]
  `);

  await t.advance(1000);
  healthy = false;
  await t.advance(2000);
  const [, restart] = sections();
  expect(restart).toMatchObject({ cause: 'containerEnded', container: 'app', outcome: 'Ready' });
  expect(drawn(restart!)).toMatchInlineSnapshot(`
    [
      "app ended 0+83",
      "  app 0+23",
      "    liveness probe 0+3",
      "    StopContainer 3+20",
      "    exit seen 23+0",
      "  status write 23+0",
      "  volumes 23+0",
      "  app (restart 1) 23+60",
      "    image 23+0",
      "    container config 23+0",
      "    CreateContainer 23+10",
      "    StartContainer 33+50",
      "    ContainerStatus 33+0",
      "    ContainerStatus 83+0",
      "  status write 83+0",
    ]
  `);

  await t.client.delete(PODS, { name: 'p', namespace: 'NS' }, { gracePeriodSeconds: 0 });
  await t.advance(5000);
  expect(t.exists()).toBe(false);
  expect(t.traces.sections('UID')).toBeUndefined();
});

it('begins anew with the agent: of what was started before only restarts are told', async () => {
  await using t = new TestKubelet();
  await t.start();
  await t.apply(MANIFEST.replace(/, livenessProbe.*}}/, '}'));
  t.fake.exit(t.fake.container('a')!.id, 0);
  await t.settle();
  expect(t.row()).toBe('1/1 Running 0');
  await t.restart();
  expect(t.traces.sections('UID')).toEqual([]);
  t.fake.exit(t.fake.container('app')!.id, 1);
  await t.settle();
  const names = t.traces.sections('UID')!.map((section) => section.spans.map((span) => span.name));
  expect(names).toEqual([
    [
      'exit seen',
      'volumes',
      'status write',
      'sandbox config',
      'image',
      'container config',
      'CreateContainer',
      'StartContainer',
      'ContainerStatus',
      'ContainerStatus',
      'status write',
    ],
  ]);
});
