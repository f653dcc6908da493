import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Event, Pod, PodStatus } from '../../api/generated/types.ts';
import type { ProbeRecord, ProbeResult } from '../../kubelet/ports.ts';
import { explainPod } from './explain-pod.ts';
import type { CauseKind, Explanation } from './explanation.ts';

/** Lives of pods on a real node; see test/data/README.md. */
interface Trace {
  manifest: string;
  watch: { at: number; deleting: boolean; status: PodStatus }[];
  events: { type: string; reason: string; message: string; count: number; field: string | null }[];
}
const traces = JSON.parse(
  readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8'),
) as Record<string, Trace>;

/** The pod of a trace as it was `at` seconds, two seconds after the last thing that its containers did. */
function traced(name: string, at: number, probes: ProbeRecord[] = []): Explanation {
  const trace = traces[name]!;
  const { status, deleting } = trace.watch.find((w) => w.at === at)!;
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'NS' },
    spec: { ...(parse(trace.manifest) as Pod).spec!, nodeName: 'peer' },
    status,
  };
  const happened = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])].flatMap((s) =>
    [s.state?.running?.startedAt, s.state?.terminated?.finishedAt, s.lastState?.terminated?.finishedAt].map((t) =>
      Date.parse(t ?? '1970-01-01'),
    ),
  );
  const now = Math.max(0, ...happened) + 2000;
  if (deleting) pod.metadata.deletionTimestamp = new Date(now + 1000).toISOString();
  const events = trace.events.map((e) => event(e.reason, e.message, { count: e.count, field: e.field ?? undefined }));
  return explainPod(pod, events, probes, now);
}

function event(
  reason: string,
  message: string,
  more: { count?: number; field?: string | undefined; at?: number } = {},
): Event {
  return {
    metadata: { name: 'e' },
    involvedObject: { fieldPath: more.field },
    reason,
    message,
    count: more.count ?? 1,
    ...(more.at === undefined ? {} : { lastTimestamp: new Date(more.at).toISOString() }),
  } as Event;
}

describe('what was recorded on a real node', () => {
  test.each<[name: string, at: number, kinds: CauseKind[], headline: string]>([
    ['plain', 0.21, ['Starting'], 'Not ready: the node has not begun with it yet.'],
    ['plain', 0.26, ['Starting'], 'Not ready: its sandbox, with the network, is being set up.'],
    ['plain', 0.87, ['ContainerCreating'], 'Not ready: container app is being created.'],
    ['plain', 1.21, [], 'Ready.'],
    ['plain', 4.25, ['Terminating'], 'Terminating: waits for container app to stop, killed in 1s at the latest.'],
    ['two-init', 1.25, ['InitRunning'], 'Not ready: init container 1 of 2 (a) runs for 2s.'],
    ['two-init', 3.81, ['ContainerCreating'], 'Not ready: init container 2 of 2 (b) is being created.'],
    ['two-init', 6.86, ['ContainerCreating'], 'Not ready: container app is being created.'],
    [
      'init-fails-twice',
      1.7,
      ['CrashLoop'],
      'Not ready: init container 1 of 1 (a) has ended (exit code 1) and is to be started again.',
    ],
    [
      'init-fails-twice',
      16.1,
      ['CrashLoop'],
      'Not ready: init container 1 of 1 (a) keeps ending (exit code 1), restarted once so far; next start in 8s.',
    ],
    ['init-fails-never', 2.73, ['Ended'], 'Failed: init container 1 of 1 (a) ended: exit code 7.'],
    [
      'crash-loop',
      44.91,
      ['CrashLoop'],
      'Not ready: container app keeps ending (exit code 3), restarted 2 times so far; next start in 18s.',
    ],
    ['onfailure-fail-then-ok', 3.44, [], 'Finished: all containers ended with exit code 0.'],
    [
      'never-one-fails',
      1.42,
      ['Ended'],
      'Not ready: container ok has ended (exit code 0); restartPolicy Never leaves it so.',
    ],
    ['never-one-fails', 3.79, ['Ended'], 'Not ready: all its containers have ended; the pod is being finished.'],
    ['never-one-fails', 4.94, ['Ended'], 'Failed: container bad ended: exit code 5.'],
    ['liveness-exec', 10.02, ['LivenessKilled'], 'Ready.'],
    [
      'liveness-http-twice',
      19.51,
      ['LivenessKilled'],
      'Not ready: container app keeps ending (killed since its liveness probe failed), restarted 2 times so far; next start in 8s.',
    ],
    [
      'readiness-flips',
      0.98,
      ['ReadinessProbe'],
      'Not ready: container app runs and waits for its readiness probe to succeed.',
    ],
    [
      'startup-slow',
      0.82,
      ['StartupProbe'],
      'Not ready: container app runs and waits for its startup probe to succeed.',
    ],
    [
      'startup-slow',
      6.57,
      ['ReadinessProbe'],
      'Not ready: container app runs and waits for its readiness probe to succeed.',
    ],
    [
      'startup-fails',
      5.85,
      ['StartupProbe', 'StartupKilled'],
      'Not ready: container app runs and waits for its startup probe to succeed (and 1 more reason).',
    ],
    [
      'probe-exec-missing',
      1.14,
      ['ProbeBroken'],
      'Not ready: container app runs, but its readiness probe itself cannot be made.',
    ],
    [
      'two-containers-one-unready',
      1.18,
      ['ReadinessProbe'],
      'Not ready: container b runs and waits for its readiness probe to succeed.',
    ],
    [
      'pull-fails',
      15.57,
      ['ImagePullFailed'],
      'Not ready: container app cannot have its image no-such-image:1: 2 pulls failed.',
    ],
    [
      'pull-never',
      1.17,
      ['ImageNotPresent'],
      'Not ready: container app needs the image no-such-image:1, which is not on this machine and must not be pulled (imagePullPolicy: Never).',
    ],
    ['command-missing', 1.93, ['StartFailed'], 'Not ready: container app cannot be started (2 attempts).'],
    [
      'command-missing',
      15.62,
      ['StartFailed'],
      'Not ready: container app cannot be started, restarted once so far; next start in 8s.',
    ],
    [
      'config-missing',
      1.26,
      ['ConfigMissing'],
      'Not ready: container app cannot be configured: configmap "nope" not found.',
    ],
    ['volume-missing', 0.29, ['VolumeNotReady'], 'Not ready: its volume v cannot be mounted.'],
    ['sidecar', 1.01, ['StartupProbe'], 'Not ready: sidecar side runs and waits for its startup probe to succeed.'],
    ['sidecar', 3.91, ['InitRunning'], 'Not ready: init container 2 of 2 (i) runs for 2s.'],
    [
      'sidecar',
      10.5,
      ['Terminating'],
      'Terminating: waits for containers app, side to stop, killed in 1s at the latest.',
    ],
    ['sidecar-job', 7.4, ['Ended'], 'Not ready: all its containers have ended; the pod is being finished.'],
    [
      'poststart-fails',
      3.58,
      ['PostStartHookFailed'],
      'Not ready: container app was killed since its postStart hook failed.',
    ],
    [
      'poststart-fails',
      7.65,
      ['PostStartHookFailed'],
      'Not ready: container app keeps ending (killed since its postStart hook failed), restarted once so far; next start in 8s.',
    ],
    [
      'active-deadline',
      6.64,
      ['DeadlineExceeded', 'Ended'],
      'Failed: it ran longer than its activeDeadlineSeconds (4s).',
    ],
    ['readiness-gate', 0.81, ['ReadinessGate'], 'Not ready: the readiness gate example.com/go is closed.'],
    [
      'oom',
      1.09,
      ['OOMKilled'],
      'Not ready: container app has ended (killed for using more memory than its limit) and is to be started again.',
    ],
    [
      'init-pulled-missing',
      0.91,
      ['ImagePullFailed'],
      'Not ready: init container 1 of 1 (a) cannot have its image no-such-image:1: 1 pull failed.',
    ],
  ])('%s at %d s', (name, at, kinds, headline) => {
    const explanation = traced(name, at);
    expect(explanation.headline).toBe(headline);
    expect(explanation.causes.map((c) => c.kind)).toEqual(kinds);
  });

  test('every state that is not Ready has a cause, and what fails says what to do', () => {
    for (const [name, trace] of Object.entries(traces)) {
      for (const { at } of trace.watch) {
        const { verdict, causes } = traced(name, at);
        if (verdict === 'waiting' || verdict === 'failing')
          expect(causes.length, `${name} at ${at}`).toBeGreaterThan(0);
        if (verdict === 'failing')
          expect(
            causes.some((c) => c.advice),
            `${name} at ${at}`,
          ).toBe(true);
      }
    }
  });

  test('the evidence names the end, the limit and what the probe said', () => {
    expect(traced('oom', 1.09).causes[0]?.evidence).toEqual([
      'exit code 137 (SIGKILL), reason OOMKilled, 2s ago, after running for 0s',
      'memory limit: 16Mi',
    ]);
    expect(traced('liveness-http-twice', 19.51).causes[0]?.evidence).toEqual([
      'exit code 137 (SIGKILL), 2s ago, after running for 6s',
      'Liveness probe failed: HTTP probe failed with statuscode: 404 (8 times)',
    ]);
  });

  test('advice fits the lack', () => {
    expect(traced('config-missing', 1.26).causes[0]?.advice).toBe(
      'create the configmap nope; the container then starts by itself',
    );
    expect(traced('volume-missing', 0.29).causes[0]?.advice).toBe(
      'create the secret nope; the pod then starts by itself',
    );
    expect(traced('command-missing', 1.93).causes[0]?.advice).toContain('is not in its image');
    expect(traced('pull-fails', 15.57).causes[0]?.advice).toContain('registry');
  });
});

const NOW = Date.UTC(2026, 0, 1, 12);
const iso = (ms: number): string => new Date(ms).toISOString();

/** A pod whose one container runs since a minute, not ready. */
function running(change: (pod: Pod) => void = () => {}): Pod {
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'default' },
    spec: {
      nodeName: 'n',
      containers: [
        {
          name: 'app',
          image: 'web',
          readinessProbe: {
            httpGet: { path: '/ready', port: 3000 },
            periodSeconds: 6,
            initialDelaySeconds: 15,
            successThreshold: 2,
          },
        },
      ],
    },
    status: {
      phase: 'Running',
      conditions: [
        { type: 'PodReadyToStartContainers', status: 'True' },
        { type: 'Initialized', status: 'True' },
        { type: 'Ready', status: 'False' },
      ],
      containerStatuses: [
        {
          name: 'app',
          image: 'web',
          imageID: '',
          ready: false,
          started: true,
          restartCount: 0,
          containerID: 'containerd://c1',
          state: { running: { startedAt: iso(NOW - 60_000) } },
        },
      ],
    },
  };
  change(pod);
  return pod;
}

function record(
  type: ProbeRecord['type'],
  results: Partial<ProbeResult>[],
  change: Partial<ProbeRecord> = {},
): ProbeRecord {
  return {
    container: 'app',
    containerId: 'c1',
    type,
    probe: running().spec!.containers[0]!.readinessProbe!,
    verdict: 'unknown',
    consecutive: 0,
    nextAt: NOW + 3500,
    results: results.map((r, i) => ({
      at: NOW - 2500 - i * 6000,
      latencyMs: 3,
      outcome: 'failure',
      output: 'HTTP probe failed with statuscode: 500',
      ...r,
    })),
    ...change,
  };
}

describe('probe records', () => {
  test('last result, what is needed and when the next check is', () => {
    const { causes } = explainPod(running(), [], [record('readiness', [{}, {}])], NOW);
    expect(causes).toEqual([
      {
        kind: 'ReadinessProbe',
        container: 'app',
        text: 'container app runs and waits for its readiness probe to succeed',
        evidence: [
          'readiness probe: GET :3000/ready every 6s, time-out 1s',
          'last check 2s ago failed: HTTP probe failed with statuscode: 500 (3ms)',
          '2 checks in a row failed',
          '2 more successes needed; next check in 4s',
        ],
        advice: 'kubelette logs p -c app',
      },
    ]);
  });

  test('before the first check', () => {
    const { causes } = explainPod(running(), [], [record('readiness', [])], NOW);
    expect(causes[0]?.evidence.slice(1)).toEqual([
      'no check yet: they begin 15s after the start',
      '2 more successes needed; next check in 4s',
    ]);
  });

  test('one of two successes', () => {
    const { causes } = explainPod(
      running(),
      [],
      [record('readiness', [{ outcome: 'success', output: 'ok' }, {}])],
      NOW,
    );
    expect(causes[0]?.evidence.slice(1)).toEqual([
      'last check 2s ago succeeded (3ms)',
      '1 more success needed; next check in 4s',
    ]);
  });

  test('was ready before', () => {
    const { headline } = explainPod(
      running(),
      [],
      [record('readiness', [{}, { outcome: 'success', output: '' }])],
      NOW,
    );
    expect(headline).toBe('Not ready: container app runs, but is not ready any more: its readiness probe fails.');
  });

  test('an earlier instance’s records say nothing', () => {
    const { causes } = explainPod(running(), [], [record('readiness', [{}], { containerId: 'c0' })], NOW);
    expect(causes[0]?.evidence).toEqual([]);
  });

  test('a prober that fails itself is not the container’s fault', () => {
    const { verdict, causes } = explainPod(
      running(),
      [],
      [record('readiness', [{ outcome: 'unknown', output: 'no such binary' }])],
      NOW,
    );
    expect(verdict).toBe('failing');
    expect(causes[0]?.kind).toBe('ProbeBroken');
    expect(causes[0]?.evidence[1]).toBe('last check 2s ago could not be made: no such binary (3ms)');
  });

  test.each([
    ['web', 'no port of app has the name web: name one in its ports, or give the number'],
    ['8080', 'correct the readinessProbe'],
  ])('a probe of port %j that cannot be made', (port, advice) => {
    const pod = running((p) => {
      p.spec!.containers[0]!.readinessProbe = { httpGet: { port } };
    });
    const { causes } = explainPod(pod, [], [record('readiness', [{ outcome: 'unknown' }])], NOW);
    expect(causes).toMatchObject([{ kind: 'ProbeBroken', advice }]);
  });

  test('a check by HTTPS', () => {
    const probe = { httpGet: { port: 443, path: '/', scheme: 'HTTPS' as const } };
    const { causes } = explainPod(running(), [], [record('readiness', [{}], { probe })], NOW);
    expect(causes[0]?.evidence[0]).toBe('readiness probe: GET https://:443/ every 10s, time-out 1s');
  });

  test('an image whose user is root where that is forbidden', () => {
    const pod = running((p) => {
      const message = 'container has runAsNonRoot and image will run as root (pod: "p", container: app)';
      p.status!.containerStatuses![0]!.state = { waiting: { reason: 'CreateContainerConfigError', message } };
    });
    expect(explainPod(pod, [], [], NOW).causes[0]?.advice).toContain('securityContext.runAsUser');
  });

  test('a startup probe says how many failures are left', () => {
    const pod = running((p) => {
      p.spec!.containers[0]!.startupProbe = { tcpSocket: { port: 5432 }, failureThreshold: 5, periodSeconds: 2 };
      p.status!.containerStatuses![0]!.started = false;
    });
    const probe = pod.spec!.containers[0]!.startupProbe!;
    const { causes } = explainPod(pod, [], [record('startup', [{ output: 'refused' }, {}], { probe })], NOW);
    expect(causes[0]?.kind).toBe('StartupProbe');
    expect(causes[0]?.evidence.at(-1)).toBe(
      '1 more success needed, 3 more failures and it is killed; next check in 4s',
    );
    expect(causes[0]?.evidence[0]).toBe('startup probe: tcp :5432 every 2s, time-out 1s');
  });

  test('a ready pod whose liveness fails is warned of', () => {
    const pod = running((p) => {
      p.status!.containerStatuses![0]!.ready = true;
      p.status!.conditions![2]!.status = 'True';
    });
    const { verdict, causes } = explainPod(pod, [], [record('liveness', [{}, {}])], NOW);
    expect(verdict).toBe('ready');
    expect(causes[0]?.kind).toBe('LivenessFailing');
    expect(causes[0]?.evidence.at(-1)).toBe('1 more failure and it is restarted; next check in 4s');
  });

  test('an instance that a probe had killed: the results that led to it', () => {
    const pod = running((p) => {
      const status = p.status!.containerStatuses![0]!;
      status.restartCount = 1;
      status.state = {
        waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting failed container=app' },
      };
      status.lastState = {
        terminated: {
          exitCode: 0,
          containerID: 'containerd://c1',
          startedAt: iso(NOW - 70_000),
          finishedAt: iso(NOW - 2000),
        },
      };
    });
    const kill = event('Killing', 'Container app failed liveness probe, will be restarted', {
      field: 'spec.containers{app}',
      at: NOW - 3000,
    });
    const { causes } = explainPod(pod, [kill], [record('liveness', [{}, {}, {}, { outcome: 'success' }])], NOW);
    expect(causes[0]?.kind).toBe('LivenessKilled');
    expect(causes[0]?.evidence).toEqual([
      'exit code 0, 2s ago, after running for 68s',
      'liveness probe: GET :3000/ready; its last 3 checks failed: HTTP probe failed with statuscode: 500 (3ms)',
    ]);
    // It ended with 0 only because it obeyed: that is no sign of a command that ends by itself.
    expect(causes[0]?.advice).toBe('kubelette logs p -c app --previous');
  });

  test('output cannot drive the terminal', () => {
    const { causes } = explainPod(running(), [], [record('readiness', [{ output: '\u001b[2Jboo\r\n' }])], NOW);
    expect(causes[0]?.evidence[1]).toBe('last check 2s ago failed: boo (3ms)');
  });
});

describe('times of events', () => {
  const waiting = (): Pod =>
    running((p) => {
      p.status!.phase = 'Pending';
      p.status!.containerStatuses![0]!.state = { waiting: { reason: 'ContainerCreating' } };
    });
  const field = 'spec.containers{app}';

  test('an image that is being pulled, and since when', () => {
    const pulling = event('Pulling', 'Pulling image "web"', { field, at: NOW - 12_000 });
    expect(explainPod(waiting(), [pulling], [], NOW).headline).toBe(
      'Not ready: container app waits for its image web, which is being pulled, since 12s.',
    );
    const pulled = event('Pulled', 'Successfully pulled image "web"', { field, at: NOW - 1000 });
    expect(explainPod(waiting(), [pulled, pulling], [], NOW).causes[0]?.kind).toBe('ContainerCreating');
  });

  test('when a failed pull is tried again', () => {
    const pod = running((p) => {
      p.status!.containerStatuses![0]!.state = {
        waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "web"' },
      };
    });
    const failed = event('Failed', 'Failed to pull image "web": not found', { field, at: NOW - 5000, count: 2 });
    const { causes } = explainPod(pod, [failed], [], NOW);
    expect(causes[0]?.text).toBe('container app cannot have its image web: 2 pulls failed; next try in about 15s');
    expect(causes[0]?.evidence).toEqual(['Failed to pull image "web": not found']);
    expect(causes[0]?.advice).toBe('check the name and tag of the image');
  });

  test('a liveness kill before the last one does not explain the last end', () => {
    const pod = running((p) => {
      const status = p.status!.containerStatuses![0]!;
      status.restartCount = 2;
      status.lastState = {
        terminated: { exitCode: 1, reason: 'Error', startedAt: iso(NOW - 70_000), finishedAt: iso(NOW - 61_000) },
      };
    });
    const old = event('Killing', 'Container app failed liveness probe, will be restarted', { field, at: NOW - 90_000 });
    expect(explainPod(pod, [old], [], NOW).causes.map((c) => c.kind)).toEqual(['ReadinessProbe', 'CrashLoop']);
    const fresh = event('Killing', 'Container app failed liveness probe, will be restarted', {
      field,
      at: NOW - 62_000,
    });
    expect(explainPod(pod, [old, fresh], [], NOW).causes.map((c) => c.kind)).toEqual([
      'ReadinessProbe',
      'LivenessKilled',
    ]);
  });

  test('a kill that is going on', () => {
    const kill = event('Killing', 'Container app failed liveness probe, will be restarted', { field, at: NOW - 1000 });
    expect(explainPod(running(), [kill], [], NOW).causes[0]?.text).toBe(
      'container app is being stopped since its liveness probe failed; it will be restarted',
    );
    // In the second in which the instance started, it was the one before that was killed; nor is one killed whose probe is well.
    const before = event('Killing', 'Container app failed liveness probe, will be restarted', {
      field,
      at: NOW - 60_000,
    });
    expect(explainPod(running(), [before], [], NOW).causes[0]?.kind).toBe('ReadinessProbe');
    const well = record('liveness', [{ outcome: 'success' }], { verdict: 'success' });
    expect(explainPod(running(), [kill], [well], NOW).causes[0]?.kind).toBe('ReadinessProbe');
  });
});

describe('the pod as a whole', () => {
  test('no node', () => {
    const pod = running((p) => {
      delete p.spec!.nodeName;
    });
    expect(explainPod(pod, [], [], NOW).headline).toBe('Not ready: no node has taken the pod.');
  });

  test.each([
    ["0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", 'spec.nodeSelector'],
    ['0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.', 'resources.requests'],
    ["0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.", 'hostPort'],
    ['0/1 nodes are available: 1 node(s) had untolerated taint(s).', 'spec.tolerations'],
    ['0/1 nodes are available: 1 node(s) were unschedulable.', 'uncordon'],
    ['no nodes available to schedule pods', 'kubelette up'],
  ])('a pod that no node can take: %s', (message, advice) => {
    const pod = running((p) => {
      delete p.spec!.nodeName;
      p.status = {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }],
      };
    });
    const { verdict, headline, causes } = explainPod(pod, [], [], NOW);
    expect([verdict, headline]).toEqual([
      'failing',
      `Not ready: no node can take the pod: ${message.replace(/\.$/, '')}.`,
    ]);
    expect(causes[0]?.advice).toContain(advice);
  });

  test.each([
    [
      'OutOfcpu',
      "Node didn't have enough resource: cpu, requested: 1000000, used: 0, capacity: 2000",
      'resources.requests',
    ],
    [
      'NodeAffinity',
      "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
      'spec.nodeSelector',
    ],
  ])('a pod that its node rejected: %s', (reason, why, advice) => {
    const pod = running((p) => {
      p.status = { phase: 'Failed', reason, message: `Pod was rejected: ${why}` };
    });
    const { verdict, headline, causes } = explainPod(pod, [], [], NOW);
    expect([verdict, headline]).toEqual(['failed', `Failed: the node rejected the pod (${reason}): ${why}.`]);
    expect(causes.map((c) => c.kind)).toEqual(['Rejected']);
    expect(causes[0]?.advice).toContain(advice);
    expect(causes[0]?.advice).toContain('create the pod anew');
  });

  test.each<[where: string, change: (pod: Pod) => void, events: Event[], kind: CauseKind]>([
    [
      'for an image',
      (p) => {
        p.status!.containerStatuses![0]!.state = { waiting: { reason: 'ImagePullBackOff', message: 'Back-off' } };
      },
      [
        event('Failed', 'Failed to pull image "web": failed to extract layer: no space left on device', {
          field: 'spec.containers{app}',
        }),
      ],
      'ImagePullFailed',
    ],
    [
      'for a sandbox',
      (p) => {
        p.status!.conditions = [];
        p.status!.containerStatuses![0]!.state = { waiting: { reason: 'ContainerCreating' } };
      },
      [event('FailedCreatePodSandBox', 'Failed to create pod sandbox: mkdir /k: no space left on device')],
      'SandboxFailed',
    ],
    [
      'for a container',
      (p) => {
        p.status!.containerStatuses![0]!.state = {
          waiting: { reason: 'CreateContainerError', message: 'mkdir /k: no space left on device' },
        };
      },
      [],
      'CreateFailed',
    ],
  ])('a disk without room %s', (_where, change, events, kind) => {
    const [cause] = explainPod(running(change), events, [], NOW).causes;
    expect(cause).toMatchObject({
      kind,
      evidence: [expect.stringContaining('no space left')],
      advice: expect.stringContaining('df -h'),
    });
  });

  test('a sandbox that cannot be made', () => {
    const pod = running((p) => {
      p.status!.conditions = [];
      p.status!.containerStatuses![0]!.state = { waiting: { reason: 'ContainerCreating' } };
    });
    const failed = event('FailedCreatePodSandBox', 'Failed to create pod sandbox: no plugin', { at: NOW - 3000 });
    const { verdict, causes } = explainPod(pod, [failed], [], NOW);
    expect([verdict, causes[0]?.kind, causes[0]?.evidence]).toEqual([
      'failing',
      'SandboxFailed',
      ['Failed to create pod sandbox: no plugin (3s ago)'],
    ]);
  });

  test('terminating: the hook that uses up grace, a deadline that has passed, finalizers', () => {
    const pod = running((p) => {
      p.metadata.deletionTimestamp = iso(NOW + 20_000);
      p.spec!.containers[0]!.lifecycle = { preStop: { sleep: { seconds: 5 } } };
    });
    const first = explainPod(pod, [], [], NOW);
    expect(first.headline).toBe('Terminating: waits for container app to stop, killed in 20s at the latest.');
    expect(first.causes[0]?.evidence).toEqual(['app has a preStop hook, which uses up the same time']);
    expect(first.causes[0]?.advice).toContain('--now');
    expect(explainPod(pod, [], [], NOW + 25_000).headline).toContain('to be killed since 5s');
    pod.status!.containerStatuses![0]!.state = { terminated: { exitCode: 0 } };
    pod.metadata.finalizers = ['example.com/hold'];
    expect(explainPod(pod, [], [], NOW).causes[0]?.kind).toBe('Finalizers');
  });

  test('a command that just ends in a pod that is meant to go on', () => {
    const pod = running((p) => {
      p.status!.containerStatuses![0]!.state = {
        terminated: { exitCode: 0, reason: 'Completed', finishedAt: iso(NOW - 1000) },
      };
    });
    expect(explainPod(pod, [], [], NOW).causes[0]?.advice).toContain('restartPolicy: OnFailure or Never');
  });
});
