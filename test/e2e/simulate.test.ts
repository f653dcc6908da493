import { chmod, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type CpuInfo, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, inject, test } from 'vitest';
import type { ContainerStatus, Event, Pod } from '../../src/api/generated/types.ts';
import type { ProbeRecord } from '../../src/kubelet/ports.ts';
import type { Forecast, Step } from '../../src/simulator/forecast/forecast.ts';
import { runProcess } from './harness/run-process.ts';
import { isReady, useNode } from './harness/test-node.ts';

const node = useNode();
const example = (name: string): string => join(import.meta.dirname, '../../examples', name);
const MANIFESTS = [example('init-demo.yaml'), example('webapl.yaml')];
/** How much a step of the real life may differ from the simulated one; and where others keep the processors busy, by this share. */
const SLACK_MS = 300;
const BUSY_SLACK_MS = 1500;
const BUSY = 0.25;

/** It runs for so few milliseconds that nobody may have seen it. */
const INSTALL_STARTED = 'init-demo/install: started, restart 0';

/** One thing that happens in a pod's life, and when, in ms since the pod was created. */
interface Moment {
  readonly what: string;
  readonly atMs: number;
}

// Once more when the machine was busy with something else just then.
test('the examples live as `kubelette simulate` says, step by step', { timeout: 180_000, retry: 1 }, async () => {
  const apply = ['apply', ...MANIFESTS.flatMap((file) => ['-f', file])];
  await bringImages(apply);
  await using life = await RealLife.start();
  const before = cpus();
  await node.current.kubectl(...apply);
  await node.current.podReady('init-demo', { timeoutMs: 60_000 });
  const isSecond = (pod: Pod | undefined): boolean => pod?.status?.containerStatuses?.[0]?.restartCount === 1;
  await node.current.podUntil('webapl', isSecond, { timeoutMs: 90_000 });
  await node.current.podUntil('webapl', (pod) => isSecond(pod) && isReady(pod), { timeoutMs: 60_000 });
  await life.takeProbes();
  await node.current.kubectl('delete', 'pod', 'init-demo', 'webapl');
  const real = life.moments();
  const busy = busyShare(before, cpus());

  const lasts = Math.ceil(Math.max(...real.filter((m) => m.what.includes('asked to go')).map((m) => m.atMs)));
  const isSeen = ({ what }: Moment): boolean =>
    !what.startsWith(INSTALL_STARTED) || real.some((m) => m.what.startsWith(INSTALL_STARTED));
  const simulated = momentsOf(await forecast(life, lasts)).filter(isSeen);
  expect(simulated.map((m) => m.what).sort()).toEqual(real.map((m) => m.what).sort());
  const beside = real.map(({ what, atMs }) => {
    const simulatedMs = simulated.find((m) => m.what === what)!.atMs;
    return { what, real: Math.round(atMs), simulated: simulatedMs, apart: Math.round(atMs - simulatedMs) };
  });
  const most = Math.max(...beside.map(({ apart }) => Math.abs(apart)));
  const slackMs = busy > BUSY ? BUSY_SLACK_MS : SLACK_MS;
  const load = `the processors were busy for ${Math.round(busy * 100)} % of the time`;
  console.log(`${beside.length} steps, simulated and real at most ${most} ms apart, of ${slackMs} allowed: ${load}`);
  const table = beside.map((b) => `${b.real} real, ${b.simulated} simulated: ${b.what}`).join('\n');
  expect(most, table).toBeLessThanOrEqual(slackMs);
});

test('simulating needs no root and no network', async ({ skip }) => {
  const { directory, kubelette } = inject('e2e');
  const dist = join(await mkdtemp(join(directory, 'nobody-')), 'dist');
  await cp(join(dirname(kubelette), '../dist'), dist, { recursive: true });
  await chmod(dirname(dist), 0o755);
  const asNobody = [
    '--net',
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    '--no-new-privs',
    process.execPath,
  ];
  const { code } = await runProcess('unshare', [...asNobody, '--version']);
  skip(code !== 0, 'nobody may not run the Node of this checkout');
  const words = ['simulate', '-', '--fail', 'webapl.liveness@40s', '--svg', '/dev/null', '-o', 'json'];
  const input = await readFile(example('webapl.yaml'), 'utf8');
  const result = await runProcess('unshare', [...asNobody, join(dist, 'kubelette.js'), ...words], { input, cwd: '/' });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect((JSON.parse(result.stdout) as Forecast).pods).toMatchObject([{ pod: 'webapl', restarts: 1 }]);
});

/** How much of the time between two looks the processors had work: the pods themselves need next to none. */
function busyShare(before: readonly CpuInfo[], after: readonly CpuInfo[]): number {
  const sum = (cores: readonly CpuInfo[], of: (times: CpuInfo['times']) => number): number =>
    cores.reduce((total, { times }) => total + of(times), 0);
  const all = (times: CpuInfo['times']): number => Object.values(times).reduce((a, b) => a + b, 0);
  const idle = sum(after, (t) => t.idle) - sum(before, (t) => t.idle);
  return 1 - idle / (sum(after, all) - sum(before, all));
}

/** How long a disk needs to unpack images for the first time, and what else has to wait meanwhile, nobody can foretell. */
async function bringImages(apply: readonly string[]): Promise<void> {
  await node.current.kubectl(...apply);
  await node.current.podReady('init-demo', { timeoutMs: 60_000 });
  await node.current.podUntil('webapl', (pod) => pod?.status?.phase === 'Running', { timeoutMs: 60_000 });
  await node.current.kubectl('delete', 'pod', 'init-demo', 'webapl');
}

/** What the manifests do by themselves, told beforehand; how long the registry needs to say that an image is still the same is measured. */
async function forecast(life: RealLife, forMs: number): Promise<Forecast> {
  const directory = await mkdtemp(join(inject('e2e').directory, 'simulate-'));
  try {
    const measured = join(directory, 'measured.yaml');
    await writeFile(
      measured,
      JSON.stringify({ images: life.images(), containers: { install: { runsFor: life.installTook() } } }),
    );
    const scenarios = ['--scenario', example('webapl.scenario.yaml'), '--scenario', measured];
    return JSON.parse(
      await node.current.kubelette('simulate', ...MANIFESTS, ...scenarios, '--for', `${forMs}ms`, '-o', 'json'),
    ) as Forecast;
  } finally {
    await rm(directory, { recursive: true });
  }
}

function momentsOf({ steps }: Forecast): Moment[] {
  const times = new Map<string, number>();
  const word = (step: Step): string | undefined => {
    const who = `${step.pod}/${step.container}`;
    switch (step.kind) {
      case 'pulled':
        return `${who}: image present`;
      case 'started':
        return `${who}: started, restart ${step.restart}`;
      case 'exited':
        return `${who}: exited with ${step.exitCode}`;
      case 'probe':
        return `${who}: ${step.probe!.type} ${step.probe!.outcome === 'success' ? 'success' : 'failure'}`;
      case 'killing':
        return `${who}: ${step.text}`;
      case 'ready':
      case 'notReady':
        return `${step.pod}: ${step.kind}`;
      case 'deletion':
        return `${step.pod}: asked to go`;
      case 'gone':
        return `${step.pod}: gone`;
      default:
        return undefined;
    }
  };
  const asked = steps.find((s) => s.kind === 'deletion')!.atMs;
  return steps.flatMap((step) => {
    const what = step.kind === 'exited' && step.atMs >= asked ? undefined : word(step);
    return what === undefined ? [] : [{ what: numbered(times, what), atMs: step.atMs }];
  });
}

/** `what`, with how often it came before. */
function numbered(times: Map<string, number>, what: string): string {
  const time = (times.get(what) ?? 0) + 1;
  times.set(what, time);
  return `${what} (${time})`;
}

/** What a watcher of the API sees of the pods in namespace default, and when. */
class RealLife implements AsyncDisposable {
  private readonly seen: {
    readonly pod: string;
    readonly what: string;
    readonly at: number;
    readonly uid?: string | undefined;
  }[] = [];
  private readonly createdAt = new Map<string, number>();
  private readonly last = new Map<string, Pod>();
  private readonly events: Event[] = [];
  private readonly checks = new Set<string>();
  private readonly stops: (() => void)[] = [];
  /** UIDs: events of earlier pods with these names are there as well. */
  private readonly pods = new Set<string>();

  static async start(): Promise<RealLife> {
    const life = new RealLife();
    const { api } = node.current;
    life.stops.push(
      await api.watch<Pod>('/api/v1/namespaces/default/pods', ({ type, object }) => life.onPod(type, object)),
      await api.watch<Event>('/api/v1/namespaces/default/events', ({ object }) => life.onEvent(object)),
    );
    // Before an instance that ends takes its last checks with it.
    const timer = setInterval(() => void life.takeProbes().catch(() => {}), 500);
    life.stops.push(() => clearInterval(timer));
    return life;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.stops) stop();
  }

  moments(): Moment[] {
    const times = new Map<string, number>();
    return this.seen
      .filter((s) => s.uid === undefined || this.pods.has(s.uid))
      .toSorted((a, b) => a.at - b.at)
      .map(({ pod, what, at }) => ({ what: numbered(times, what), atMs: at - this.createdAt.get(pod)! }));
  }

  /** All are there; and how long it took to ask the registry whether one is still the same, as the events say. */
  images(): Record<string, { present: true; pull?: string }> {
    const images: Record<string, { present: true; pull?: string }> = {};
    for (const { message = '', involvedObject } of this.events) {
      if (!this.pods.has(involvedObject.uid!)) continue;
      const [, image, took] = /^(?:Successfully pulled|Container) image "(.+?)"(?: in (\S+) \()?/.exec(message) ?? [];
      if (image !== undefined) images[image] ??= { present: true, ...(took === undefined ? {} : { pull: took }) };
    }
    return images;
  }

  /** How long the init container ran. Its status may show it as ended at once: then no time worth a number. */
  installTook(): string {
    const at = (what: string): number | undefined => this.seen.find((s) => s.what === what)?.at;
    const ended = at('init-demo/install: exited with 0')!;
    return `${Math.round(ended - (at(INSTALL_STARTED) ?? ended))}ms`;
  }

  /** Takes down what is new among the checks that the kubelet remembers. */
  async takeProbes(): Promise<void> {
    const nodeName = this.last.get('webapl')?.spec.nodeName;
    if (!nodeName || this.last.get('webapl')!.metadata.deletionTimestamp) return;
    const path = `/api/v1/nodes/${nodeName}/proxy/probes/default/webapl`;
    for (const { container, containerId, type, results } of await node.current.api.get<ProbeRecord[]>(path)) {
      for (const { at, outcome } of results) {
        const check = `${containerId} ${type} ${at}`;
        if (this.checks.has(check)) continue;
        this.checks.add(check);
        this.note('webapl', `webapl/${container}: ${type} ${outcome}`, at);
      }
    }
  }

  private note(pod: string, what: string, at = Date.now(), uid?: string): void {
    this.seen.push({ pod, what, at, uid });
  }

  private onPod(type: string, pod: Pod): void {
    const name = pod.metadata.name!;
    this.pods.add(pod.metadata.uid!);
    if (type === 'DELETED') {
      this.note(name, `${name}: gone`);
      return;
    }
    const before = this.last.get(name);
    this.last.set(name, pod);
    if (!before) this.createdAt.set(name, Date.now());
    if (pod.metadata.deletionTimestamp && !before?.metadata.deletionTimestamp) this.note(name, `${name}: asked to go`);
    const old = statusesOf(before);
    if (pod.metadata.deletionTimestamp) return;
    for (const status of statusesOf(pod))
      this.onContainer(
        name,
        old.find((s) => s.name === status.name),
        status,
      );
    if (isReady(pod) !== isReady(before)) {
      this.note(name, `${name}: ${isReady(pod) ? 'ready' : 'notReady'}`);
    }
  }

  private onContainer(pod: string, before: ContainerStatus | undefined, now: ContainerStatus): void {
    const who = `${pod}/${now.name}`;
    const ended = now.state?.terminated ?? now.lastState?.terminated;
    const endedBefore = before?.state?.terminated ?? before?.lastState?.terminated;
    if (ended && ended.containerID !== endedBefore?.containerID)
      this.note(pod, `${who}: exited with ${ended.exitCode}`);
    const startedBefore = before?.state?.running && before.containerID === now.containerID;
    if (now.state?.running && !startedBefore) this.note(pod, `${who}: started, restart ${now.restartCount}`);
  }

  private onEvent(event: Event): void {
    this.events.push(event);
    const { name: pod = '', uid } = event.involvedObject;
    const container = /\{(.+)\}/.exec(event.involvedObject.fieldPath ?? '')?.[1];
    if (event.reason === 'Pulled') this.note(pod, `${pod}/${container}: image present`, Date.now(), uid);
    if (event.reason === 'Killing') this.note(pod, `${pod}/${container}: ${event.message}`, Date.now(), uid);
  }
}

function statusesOf(pod: Pod | undefined): ContainerStatus[] {
  return [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])];
}
