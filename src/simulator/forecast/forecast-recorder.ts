import { getCondition } from '../../api/conditions.ts';
import type { ContainerStatus, EndpointSlice, Event, Pod } from '../../api/generated/types.ts';
import { isTerminalPhase } from '../../api/pod-phase.ts';
import { effectiveGracePeriod, isSidecar } from '../../api/pod-resources.ts';
import { probeSettings, STARTING_MS } from '../../kubelet/prober/probe-schedule.ts';
import { parseDuration } from '../../lib/go-duration.ts';
import type { ContainerRef, Fact } from '../fact.ts';
import { type HealthWindow, type Scenario, scriptOf } from '../scenario.ts';
import { containerSpec } from '../sim-node.ts';
import { type Backend, clientErrors } from './client-errors.ts';
import { ContainerTrack } from './container-track.ts';
import type { ClientForecast, ContainerForecast, PodForecast, ProbeOutcome, Step } from './forecast.ts';
import { covers, type Interval, intersection, OpenInterval } from './intervals.ts';
import { probeStepWords } from './probe-step-words.ts';

/** Warnings that a container's state or a probe's step tells already. */
const TOLD_ELSEWHERE = new Set(['Unhealthy', 'BackOff', 'Failed']);
/** All containers are ready; what others have to say is lacking, and in a simulation there is nobody to say it. */
const GATES_NOT_READY = 'ReadinessGatesNotReady';
const SERVICE_LABEL = 'kubernetes.io/service-name';

type Written = Extract<Fact, { what: 'written' }>;

interface PodTrack {
  readonly uid: string;
  pod: Pod;
  readonly containers: Map<string, ContainerTrack>;
  readonly ready: OpenInterval;
  readyAtMs: number | undefined;
  askedAtMs: number | undefined;
  /** How long the deletion lets run what runs then. */
  graceMs: number;
  goneAtMs: number | undefined;
  /** As it was before it was deleted. */
  last: Pod;
}

/** Turns facts into what a user wants to know. */
export class ForecastRecorder {
  readonly steps: Step[] = [];
  private readonly scenario: Scenario;
  private readonly originMs: number;
  private readonly forMs: number;
  private readonly pods = new Map<string, PodTrack>();
  /** By `NAMESPACE/SERVICE`, then by slice: the UIDs of the pods that it leads to. */
  private readonly slices = new Map<string, Map<string, ReadonlySet<string>>>();
  /** Warnings that were told. */
  private readonly told = new Set<string>();
  private readonly services = new Set<string>();
  /** By `NAMESPACE/SERVICE UID`. */
  private readonly routed = new Map<string, OpenInterval>();

  /** @param originMs when the objects are created: all times count from there @param forMs when everything is deleted */
  constructor(scenario: Scenario, originMs: number, forMs: number) {
    this.scenario = scenario;
    this.originMs = originMs;
    this.forMs = forMs;
  }

  on(fact: Fact): void {
    const atMs = Math.round(fact.atMs - this.originMs);
    switch (fact.what) {
      case 'written':
        this.onWritten(fact, atMs);
        return;
      case 'containerStarted':
        this.onStarted(fact, atMs);
        return;
      case 'containerSignalled':
        this.container(fact)?.askToStop(atMs);
        return;
      case 'containerExited':
        this.onExited(fact, fact.exitCode, atMs);
        return;
      case 'probed':
        this.onProbed(fact, atMs);
        return;
      case 'deletionAsked': {
        const track = this.pods.get(fact.podUID);
        if (!track || track.askedAtMs !== undefined) return;
        track.askedAtMs = atMs;
        if ([...track.containers.values()].some((c) => c.alive.isOn)) {
          track.graceMs = (fact.graceSeconds ?? effectiveGracePeriod(track.pod)) * 1000;
        }
        this.step({ atMs, kind: 'deletion', text: 'kubectl delete', ...podOf(track) });
        return;
      }
      case 'agentDied':
        // It counted in memory.
        for (const { containers } of this.pods.values()) for (const c of containers.values()) c.streaks.clear();
        this.step({ atMs, kind: 'agentDied', text: 'kubelette is killed (kill -9); containers run on' });
        return;
      case 'agentStarted':
        if (atMs >= 0) this.step({ atMs, kind: 'agentStarted', text: 'kubelette starts again' });
        return;
      case 'runtimeDied':
        this.step({ atMs, kind: 'runtimeDied', text: 'containerd is gone; containers run on' });
        return;
      case 'runtimeReturned':
        this.step({ atMs, kind: 'runtimeReturned', text: 'containerd is back' });
    }
  }

  // --- what comes out

  podForecasts(): PodForecast[] {
    return [...this.pods.values()].map((track) => {
      const { status } = track.last;
      const statuses = statusesOf(track.last);
      const { askedAtMs, goneAtMs, readyAtMs } = track;
      return {
        ...podOf(track),
        phase: status?.phase ?? 'Pending',
        ready: getCondition(status?.conditions, 'Ready')?.status === 'True',
        ...(readyAtMs === undefined ? {} : { readyAtMs }),
        restarts: statuses.reduce((sum, s) => sum + s.restartCount, 0),
        ...(askedAtMs === undefined
          ? {}
          : {
              deletion: {
                askedAtMs,
                ...(goneAtMs === undefined ? {} : { goneAtMs }),
                atMostMs: track.graceMs,
              },
            }),
      };
    });
  }

  containerForecasts(): ContainerForecast[] {
    return [...this.pods.values()].flatMap((track) =>
      [...track.containers.values()].map((c) => ({
        ...podOf(track),
        container: c.name,
        init: c.init,
        restarts: Math.max(0, c.starts - 1),
        segments: c.segments,
      })),
    );
  }

  /** Of each Service, and of each pod that no Service leads to. */
  clientForecasts(): ClientForecast[] {
    const serving = new Map([...this.pods].map(([uid, track]) => [uid, this.servingOf(track)]));
    const clients: ClientForecast[] = [...this.services].sort().map((key) => {
      const backends: Backend[] = [];
      for (const [uid, intervals] of serving) {
        const routed = this.routed.get(`${key} ${uid}`);
        if (routed) backends.push({ routed: routed.until(this.forMs), serving: intervals });
      }
      const [namespace, name] = key.split('/');
      return { namespace: namespace!, target: `service/${name}`, ...clientErrors(backends, this.forMs) };
    });
    for (const [uid, track] of this.pods) {
      if ([...this.routed.keys()].some((key) => key.endsWith(` ${uid}`))) continue;
      const { namespace, pod } = podOf(track);
      const untilMs = Math.min(this.forMs, track.askedAtMs ?? this.forMs);
      const backend = { routed: track.ready.until(untilMs), serving: serving.get(uid)! };
      clients.push({ namespace, target: `pod/${pod}`, ...clientErrors([backend], untilMs) });
    }
    return clients;
  }

  /** What was assumed of a moment at which there was nobody whom it could befall. */
  notes(): string[] {
    const exits = (this.scenario.actions ?? []).filter((a) => a.do === 'exit');
    return [...this.pods.values()].flatMap((track) =>
      [...track.containers.values()].flatMap((c) => {
        const windows = scriptOf(this.scenario, c.pod, c.name, 0).health ?? [];
        const lost = exits
          .map((a) => ({ ...a, atMs: a.atMs - this.originMs }))
          // It runs until then, and then no more.
          .filter((a) => a.pod === c.pod && a.container === c.name && !covers(c.alive.until(this.forMs), a.atMs - 1))
          .map((a) => `${c.pod}/${c.name}: does not exit at ${a.atMs / 1000} s, since it does not run then`);
        const unfelt = windows
          .filter((w) => w.inRun && !covers(c.alive.until(this.forMs), w.fromMs - this.originMs))
          .map((w) => {
            const at = `${(w.fromMs - this.originMs) / 1000} s`;
            const what = w.probe ? `the ${w.probe} probe does` : 'probes do';
            return `${c.pod}/${c.name}: ${what} not fail at ${at}, since the container does not run then`;
          });
        return [...unfelt, ...lost];
      }),
    );
  }

  /** The pods with their defaults, as the API server has them. */
  get storedPods(): Pod[] {
    return [...this.pods.values()].map((track) => track.pod);
  }

  /** To be called when time is over, before anything is asked. */
  end(runMs: number): void {
    const atMs = runMs - this.originMs;
    for (const { containers } of this.pods.values()) {
      for (const container of containers.values()) {
        container.close(atMs, this.healthOf(container), this.originMs);
      }
    }
  }

  private servingOf(track: PodTrack): Interval[] {
    const staying = [...track.containers.values()].filter((c) => !c.init).map((c) => c.serving);
    const [first = [], ...others] = staying;
    return others.reduce<readonly Interval[]>(intersection, first).slice();
  }

  // --- the runtime's facts

  private onStarted(ref: ContainerRef, atMs: number): void {
    const container = this.container(ref);
    if (!container) return;
    container.start(atMs);
    const restart = container.starts - 1;
    const what = container.init ? 'init container' : 'container';
    const text = restart === 0 ? `${what} starts` : `${what} starts again (restart ${restart})`;
    this.step({ atMs, kind: 'started', text, ...this.who(ref), restart });
  }

  private onExited(ref: ContainerRef, exitCode: number, atMs: number): void {
    const container = this.container(ref);
    if (!container) return;
    const asked = container.isAsked ? { asked: true } : {};
    container.end(atMs, this.healthOf(container), this.originMs);
    const text = exitCode === 0 && container.init ? 'init container succeeds' : `exits with ${exitCode}`;
    this.step({ atMs, kind: 'exited', text, ...this.who(ref), exitCode, ...asked });
  }

  /** How the present instance answers. */
  private healthOf({ pod, name, starts }: ContainerTrack): readonly HealthWindow[] {
    return scriptOf(this.scenario, pod, name, Math.max(0, starts - 1)).health ?? [];
  }

  private onProbed(fact: Extract<Fact, { what: 'probed' }>, atMs: number): void {
    const track = this.pods.get(fact.podUID);
    const container = this.container(fact);
    const probe = containerSpec(track?.pod, fact.container)?.[`${fact.probe}Probe`];
    if (!track || !container || !probe || track.askedAtMs !== undefined) return;
    const { periodMs, failureThreshold, successThreshold } = probeSettings(probe);
    const outcome = fact.outcome as ProbeOutcome;
    const isYoung = atMs < container.startedAtMs + STARTING_MS;
    const counts = outcome !== 'error' && !(outcome === 'refused' && isYoung && !probe.exec);
    const isGood = outcome === 'success';
    const before = container.streaks.get(fact.probe);
    const length = before?.isGood === isGood ? before.length + 1 : 1;
    if (counts) container.streaks.set(fact.probe, { isGood, length });
    const step = {
      type: fact.probe,
      outcome,
      counts,
      streak: counts ? length : 0,
      threshold: isGood ? successThreshold : failureThreshold,
      periodMs,
    };
    this.step({ atMs, kind: 'probe', text: probeStepWords(step, probe), ...this.who(fact), probe: step });
  }

  // --- what the API server wrote

  private onWritten(fact: Written, atMs: number): void {
    const { collection, object, removed } = fact;
    if (collection === 'pods') this.onPod(fact, atMs);
    else if (collection === 'events' && !removed) this.onEvent(object as Event, atMs);
    else if (collection === 'services') {
      const { namespace, name } = object.metadata;
      // The node's own Services are nobody's manifest.
      if (namespace !== 'kube-system') this.services.add(`${namespace}/${name}`);
    } else if (collection === 'endpointslices') {
      this.onSlice(object as EndpointSlice, removed, atMs);
    }
  }

  private onPod({ before, object, removed }: Written, atMs: number): void {
    const pod = object as Pod;
    const uid = pod.metadata.uid!;
    const track = this.pods.get(uid) ?? this.addPod(pod, atMs);
    if (removed) {
      track.ready.set(false, atMs);
      track.goneAtMs = atMs;
      this.step({ atMs, kind: 'gone', text: 'gone', ...podOf(track) });
      return;
    }
    track.pod = pod;
    if (!pod.metadata.deletionTimestamp) track.last = pod;
    const old = before as Pod | undefined;
    for (const status of statusesOf(pod)) {
      this.onContainerStatus(
        track,
        statusesOf(old).find((s) => s.name === status.name),
        status,
        atMs,
      );
    }
    const condition = getCondition(pod.status?.conditions, 'Ready');
    const isReady = condition?.status === 'True' && !pod.metadata.deletionTimestamp;
    const wasGated = getCondition(old?.status?.conditions, 'Ready')?.reason === GATES_NOT_READY;
    if (condition?.reason === GATES_NOT_READY && !wasGated && track.askedAtMs === undefined) {
      this.step({ atMs, kind: 'problem', text: `${condition.reason}: ${condition.message}`, ...podOf(track) });
    }
    if (isReady !== track.ready.isOn && track.askedAtMs === undefined) {
      track.readyAtMs ??= atMs;
      const kind = isReady ? 'ready' : 'notReady';
      this.step({ atMs, kind, text: isReady ? 'Ready' : 'not Ready any more', ...podOf(track) });
    }
    track.ready.set(isReady, atMs);
    const phase = pod.status?.phase ?? '';
    if (track.askedAtMs === undefined && phase !== old?.status?.phase && isTerminalPhase(phase)) {
      const message = pod.status?.message;
      this.step({ atMs, kind: 'finished', text: message ? `${phase}: ${message}` : phase, ...podOf(track) });
    }
  }

  private onContainerStatus(
    track: PodTrack,
    before: ContainerStatus | undefined,
    status: ContainerStatus,
    atMs: number,
  ): void {
    const container = track.containers.get(status.name);
    if (!container) return;
    const who = { ...podOf(track), container: status.name };
    const isReady = status.ready && status.state?.running !== undefined;
    const wasReady = before?.ready === true && before.state?.running !== undefined;
    if (isReady !== wasReady && !container.init && track.askedAtMs === undefined) {
      const kind = isReady ? 'containerReady' : 'containerNotReady';
      this.step({ atMs, kind, text: isReady ? 'container ready' : 'container not ready', ...who });
    }
    const waiting = status.state?.waiting;
    const isNew = waiting?.reason !== before?.state?.waiting?.reason;
    const isTrouble = waiting?.reason !== undefined && !/Creating$|Initializing$/.test(waiting.reason);
    const isBackingOff = isTrouble && /BackOff$/.test(waiting.reason!);
    if (isNew) {
      if (isTrouble) container.pull(false, atMs);
      container.backOff(isBackingOff, atMs);
    }
    container.setReady(isReady, atMs);
    if (waiting && isNew && isBackingOff) {
      const delayMs = parseDuration(/^back-off (\S+) restarting/.exec(waiting.message ?? '')?.[1] ?? '');
      const until = delayMs === undefined ? {} : { untilMs: container.endedAtMs + delayMs };
      const text =
        delayMs === undefined
          ? `${waiting.reason}: ${waiting.message ?? ''}`
          : `${waiting.reason}: next start ${delayMs / 1000} s after it ended`;
      this.step({ atMs, kind: 'backOff', text, ...who, ...until });
    } else if (isNew && isTrouble) {
      this.step({ atMs, kind: 'problem', text: `${waiting.reason}: ${waiting.message ?? ''}`, ...who });
    }
  }

  private onEvent(event: Event, atMs: number): void {
    const { reason = '', message = '', type, involvedObject } = event;
    const track = this.pods.get(involvedObject.uid ?? '');
    const name = /\{(.+)\}/.exec(involvedObject.fieldPath ?? '')?.[1];
    const who = track ? { ...podOf(track), ...(name === undefined ? {} : { container: name }) } : undefined;
    const container = track?.containers.get(name ?? '');
    if (who && reason === 'Pulling') {
      container?.pull(true, atMs);
      this.step({ atMs, kind: 'pulling', text: `pulls ${/"(.+)"/.exec(message)?.[1] ?? 'its image'}`, ...who });
    } else if (who && reason === 'Pulled') {
      container?.pull(false, atMs);
      this.step({ atMs, kind: 'pulled', text: pulledWords(message), ...who });
    } else if (who && reason === 'Killing') {
      container?.askToStop(atMs);
      this.step({ atMs, kind: 'killing', text: message, ...who });
    } else if (type === 'Warning' && !TOLD_ELSEWHERE.has(reason)) {
      const { kind, name: object = '', namespace = '' } = involvedObject;
      const whose = who ?? (kind === 'Service' ? { namespace, service: object } : undefined);
      const text = `${reason}: ${message}`;
      const key = JSON.stringify([whose, text]);
      // An event that is written again says nothing new.
      if (whose && !this.told.has(key)) this.step({ atMs, kind: 'problem', text, ...whose });
      this.told.add(key);
    }
  }

  private onSlice(slice: EndpointSlice, removed: boolean, atMs: number): void {
    const { namespace = '', labels, name = '' } = slice.metadata;
    const service = labels?.[SERVICE_LABEL];
    if (service === undefined) return;
    const key = `${namespace}/${service}`;
    const ready = (slice.endpoints ?? []).filter((e) => !removed && e.conditions?.ready && e.targetRef?.uid);
    const all = this.slices.get(key) ?? new Map<string, ReadonlySet<string>>();
    this.slices.set(key, all);
    const before = new Set([...all.values()].flatMap((uids) => [...uids]));
    all.set(name, new Set(ready.map((e) => e.targetRef!.uid!)));
    for (const { targetRef } of slice.endpoints ?? []) if (targetRef?.uid) this.routeOf(key, targetRef.uid);
    const now = new Set([...all.values()].flatMap((uids) => [...uids]));
    for (const uid of new Set([...before, ...now])) {
      const isRouted = now.has(uid);
      if (isRouted === before.has(uid)) continue;
      const track = this.pods.get(uid);
      this.routeOf(key, uid).set(isRouted, atMs);
      if (!track) continue;
      const text = isRouted ? `service ${service} sends requests here` : `service ${service} sends none here any more`;
      this.step({ atMs, kind: isRouted ? 'routed' : 'unrouted', text, ...podOf(track), service });
    }
  }

  /** When the Service leads to the pod. */
  private routeOf(service: string, uid: string): OpenInterval {
    const known = this.routed.get(`${service} ${uid}`) ?? new OpenInterval();
    this.routed.set(`${service} ${uid}`, known);
    return known;
  }

  // --- book-keeping

  private addPod(pod: Pod, atMs: number): PodTrack {
    const track: PodTrack = {
      uid: pod.metadata.uid!,
      pod,
      last: pod,
      containers: new Map(),
      ready: new OpenInterval(),
      readyAtMs: undefined,
      askedAtMs: undefined,
      graceMs: 0,
      goneAtMs: undefined,
    };
    const podName = pod.metadata.name ?? '';
    for (const spec of pod.spec.initContainers ?? []) {
      track.containers.set(spec.name, new ContainerTrack(podName, spec.name, !isSidecar(spec)));
    }
    for (const { name } of pod.spec.containers) track.containers.set(name, new ContainerTrack(podName, name, false));
    this.pods.set(track.uid, track);
    this.step({ atMs, kind: 'created', text: 'created', ...podOf(track) });
    return track;
  }

  private container(ref: Pick<ContainerRef, 'podUID' | 'container'>): ContainerTrack | undefined {
    return this.pods.get(ref.podUID)?.containers.get(ref.container);
  }

  private who(ref: Pick<ContainerRef, 'podUID' | 'container'>): { namespace: string; pod: string; container: string } {
    return { ...podOf(this.pods.get(ref.podUID)!), container: ref.container };
  }

  private step(step: Step): void {
    this.steps.push(step);
  }
}

function podOf({ pod }: Pick<PodTrack, 'pod'>): { namespace: string; pod: string } {
  const { name = '', namespace = 'default' } = pod.metadata;
  return { namespace, pod: name };
}

function statusesOf(pod: Pod | undefined): ContainerStatus[] {
  return [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])];
}

/** The events of 1.36: `Successfully pulled image "x" in 812ms (...)`, `Container image "x" already present on machine ...`. */
function pulledWords(message: string): string {
  const image = /"([^"]+)"/.exec(message)?.[1] ?? 'image';
  const took = / in (\S+) \(/.exec(message)?.[1];
  return took === undefined ? `image ${image} is there already` : `image ${image} is there (pulled in ${took})`;
}
