import { describe, expect, test } from 'vitest';
import type { Event, Pod } from '../../api/generated/types.ts';
import type { ProbeRecord, ProbeResult } from '../../kubelet/ports.ts';
import { type PodView, podFacts, renderPod } from './render-pod.ts';
import { displayWidth, styleOf } from './style.ts';

const NOW = Date.UTC(2026, 0, 1, 12);
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

/** One init container done, one running; the app has probes. */
function starting(): PodView & { pod: Pod } {
  return {
    now: NOW,
    events: [],
    probes: [],
    pod: {
      metadata: { name: 'web', namespace: 'default', creationTimestamp: ago(8) },
      spec: {
        nodeName: 'n',
        initContainers: [
          { name: 'fetch', image: 'busybox' },
          { name: 'migrate', image: 'busybox' },
        ],
        containers: [
          { name: 'app', image: 'web:1', readinessProbe: { httpGet: { path: '/ready', port: 80 }, periodSeconds: 6 } },
        ],
      },
      status: {
        phase: 'Pending',
        podIP: '10.88.0.5',
        podIPs: [{ ip: '10.88.0.5' }],
        conditions: [
          { type: 'PodReadyToStartContainers', status: 'True' },
          { type: 'Ready', status: 'False' },
        ],
        initContainerStatuses: [
          {
            name: 'fetch',
            image: 'busybox',
            imageID: '',
            ready: true,
            started: false,
            restartCount: 0,
            state: { terminated: { exitCode: 0, reason: 'Completed', startedAt: ago(7), finishedAt: ago(4) } },
          },
          {
            name: 'migrate',
            image: 'busybox',
            imageID: '',
            ready: false,
            started: true,
            restartCount: 1,
            state: { running: { startedAt: ago(3) } },
            lastState: { terminated: { exitCode: 1, reason: 'Error', startedAt: ago(4), finishedAt: ago(4) } },
          },
        ],
        containerStatuses: [
          {
            name: 'app',
            image: 'web:1',
            imageID: '',
            ready: false,
            started: false,
            restartCount: 0,
            state: { waiting: { reason: 'PodInitializing' } },
          },
        ],
      },
    },
  };
}

function running(outcomes: ProbeResult['outcome'][]): PodView & { pod: Pod } {
  const view = starting();
  const { status } = view.pod;
  status!.phase = 'Running';
  status!.conditions!.push({ type: 'Initialized', status: 'True' });
  for (const s of status!.initContainerStatuses!) {
    s.state = { terminated: { exitCode: 0, reason: 'Completed', startedAt: ago(40), finishedAt: ago(37) } };
  }
  const app = status!.containerStatuses![0]!;
  Object.assign(app, { containerID: 'containerd://c1', started: true, state: { running: { startedAt: ago(30) } } });
  const record: ProbeRecord = {
    container: 'app',
    containerId: 'c1',
    type: 'readiness',
    probe: view.pod.spec!.containers[0]!.readinessProbe!,
    verdict: 'unknown',
    consecutive: 0,
    nextAt: NOW + 3200,
    results: outcomes.map((outcome, i) => ({
      at: NOW - 1000 - i * 6000,
      latencyMs: 2.4,
      outcome,
      output: outcome === 'failure' ? 'HTTP probe failed with statuscode: 500' : '',
    })),
  };
  return { ...view, probes: [record] };
}

const render = (view: PodView, width = 100): string => renderPod(view, width, styleOf(false)).join('\n');

test('init containers: which one runs', () => {
  expect(render(starting())).toMatchInlineSnapshot(`
    "◌ web  Init:1/2  ready 0/1  age 8s  10.88.0.5
      ✓ fetch    init  done, took 3s
      ● migrate  init  running for 3s  restarts: 1
      · app      app   waiting
      Not ready: init container 2 of 2 (migrate) runs for 3s."
  `);
});

test('a running container with its probe and the last results, oldest first', () => {
  expect(render(running(['failure', 'failure', 'success']))).toMatchInlineSnapshot(`
    "◌ web  Running  ready 0/1  age 8s  10.88.0.5
      ✓ fetch    init  done, took 3s
      ✓ migrate  init  done, took 3s  restarts: 1
      ● app      app   running for 30s, not ready
          readiness  ✓✗✗         GET :80/ready  next in 4s  HTTP probe failed with statuscode: 500 (2ms)
      Not ready: container app runs, but is not ready any more: its readiness probe fails."
  `);
});

test('a ready pod', () => {
  const view = running(['success']);
  view.pod.status!.conditions!.find((c) => c.type === 'Ready')!.status = 'True';
  view.pod.status!.containerStatuses![0]!.ready = true;
  expect(render(view)).toMatchInlineSnapshot(`
    "● web  Running  ready 1/1  age 8s  10.88.0.5
      ✓ fetch    init  done, took 3s
      ✓ migrate  init  done, took 3s  restarts: 1
      ● app      app   running for 30s, ready
          readiness  ✓           GET :80/ready  next in 4s  (2ms)"
  `);
});

test('an image that is being pulled, with progress', () => {
  const view = starting();
  view.pod.spec!.initContainers = [];
  view.pod.status!.initContainerStatuses = [];
  const pulling = {
    metadata: {},
    involvedObject: { fieldPath: 'spec.containers{app}' },
    reason: 'Pulling',
    lastTimestamp: ago(5),
  } as Event;
  expect(
    render({ ...view, events: [pulling], pull: { doneBytes: 12_300_000, totalBytes: 88_000_000 } }),
  ).toMatchInlineSnapshot(`
    "◌ web  PodInitializing  ready 0/1  age 8s  10.88.0.5
      ◌ app  app   pulling image web:1 for 5s, 12.3 MB of 88.0 MB
      Not ready: container app waits for its image web:1, which is being pulled, since 5s."
  `);
});

test('something that fails says why and what to do', () => {
  const view = starting();
  const migrate = view.pod.status!.initContainerStatuses![1]!;
  migrate.state = {
    waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting failed container=migrate pod=web' },
  };
  expect(render(view)).toMatchInlineSnapshot(`
    "✗ web  Init:CrashLoopBackOff  ready 0/1  age 8s  10.88.0.5
      ✓ fetch    init  done, took 3s
      ✗ migrate  init  CrashLoopBackOff: last exit code 1  restarts: 1
      · app      app   waiting
      Not ready: init container 2 of 2 (migrate) keeps ending (exit code 1), restarted once so far; next
      start in 6s.
        - exit code 1, 4s ago, after running for 0s
        > kubelette logs web -c migrate --previous"
  `);
});

test('no line is wider than the terminal', () => {
  for (const width of [20, 40, 60]) {
    for (const line of renderPod(running(['failure']), width, styleOf(true)))
      expect(displayWidth(line)).toBeLessThanOrEqual(width);
  }
});

describe('without a terminal', () => {
  const changes = (before: PodView, after: PodView): string[] => {
    const old = podFacts(before);
    return [...podFacts(after)].filter(([key, text]) => old.get(key) !== text).map(([, text]) => text);
  };

  test('the passing of time changes nothing', () => {
    expect(changes(starting(), { ...starting(), now: NOW + 60_000 })).toEqual([]);
    const view = running(['failure']);
    expect(changes(view, { ...view, now: NOW + 1000 })).toEqual([]);
  });

  test('what changed, each once', () => {
    expect(changes(starting(), running(['failure']))).toEqual([
      'web/migrate: done, took 3s (restart 1)',
      'web/app: running, not ready',
      'web/app: readiness probe failed: HTTP probe failed with statuscode: 500',
    ]);
    expect(changes(running(['failure']), running(['success', 'failure']))).toEqual([
      'web/app: readiness probe succeeded',
    ]);
  });

  test('a pod that no node can take: why, and what to do', () => {
    const view = starting();
    const message = '0/1 nodes are available: 1 Insufficient cpu.';
    const { nodeName: _, ...spec } = view.pod.spec;
    const status = { conditions: [{ type: 'PodScheduled', status: 'False', message }] };
    const pod: Pod = { ...view.pod, spec, status };
    expect([...podFacts({ ...view, pod }).values()].slice(-2)).toEqual([
      'web: not ready: something fails',
      'web: no node can take the pod: 0/1 nodes are available: 1 Insufficient cpu: ' +
        'lower resources.requests, or delete other pods; kubelette get nodes -o yaml shows what the node has',
    ]);
  });
});
