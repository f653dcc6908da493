import type { Container, ContainerStatus, Pod, Probe } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import type { PodTraces } from '../../lib/pod-traces.ts';
import type { EventRecorder, ProbeManager, ProbeRecord, ProbeType, ProbeVerdict } from '../ports.ts';
import type { ContainerRuntimeStatus, PodRuntimeStatus } from '../runtime-status.ts';
import type { Prober } from './attempt.ts';
import { LoopLag } from './loop-lag.ts';
import { ProbeWorker, type ProbeWorkerDeps } from './probe-worker.ts';

export interface ProbeManagerOptions {
  readonly clock: Clock;
  readonly recorder: EventRecorder;
  readonly traces: PodTraces;
  readonly logger: Logger;
  /** The node's address, as it is when read: where the probes of pods on the host's network go. */
  readonly hostIP: string;
  /** A verdict changed: the pod needs a look. Called synchronously; must not throw. */
  readonly onVerdict: (podUID: string, container: string, type: ProbeType, verdict: ProbeVerdict) => void;
  /** Makes the attempts. */
  readonly prober: Prober;
}

/** The probes of one container instance. */
interface ContainerProbes {
  readonly containerId: string;
  /** Monotonic ms. */
  readonly startedAt: number;
  /** It started before this agent. */
  readonly adopted: boolean;
  readonly workers: ReadonlyMap<ProbeType, ProbeWorker>;
}

interface PodProbes {
  pod: Pod;
  /** The address that is the pod's alone, or was seen last. */
  ownIP: string | undefined;
  hostNetwork: boolean;
  terminating: boolean;
  readonly containers: Map<string, ContainerProbes>;
  /** By container: what killed the instance before the present one. */
  readonly killers: Map<string, ProbeRecord>;
}

const TYPES: readonly ProbeType[] = ['startup', 'liveness', 'readiness'];

/**
 * Checks the containers of all pods. Between its checks a probe is one timer and nothing else. A pod must be synced before its
 * verdicts are asked for: of a container that it has not seen it says `success`, as of one without probes.
 */
export class DefaultProbeManager implements ProbeManager {
  private readonly deps: ProbeWorkerDeps;
  private readonly options: ProbeManagerOptions;
  private readonly agentStartedAt: number;
  private readonly pods = new Map<string, PodProbes>();

  constructor(options: ProbeManagerOptions) {
    const { clock, recorder, logger, traces, prober } = options;
    this.options = options;
    this.deps = { clock, recorder, logger, traces, prober, lag: new LoopLag(clock) };
    this.agentStartedAt = clock.now();
  }

  syncPod(pod: Pod, status: PodRuntimeStatus, terminating: boolean): void {
    const probed = [
      ...(pod.spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'),
      ...pod.spec.containers,
    ].filter((c) => c.startupProbe || c.livenessProbe || c.readinessProbe);
    if (probed.length === 0) return;
    let entry = this.pods.get(status.podUID);
    if (!entry) {
      const none = { ownIP: undefined, hostNetwork: false, terminating: false };
      entry = { pod, ...none, containers: new Map(), killers: new Map() };
      this.pods.set(status.podUID, entry);
    }
    const sandbox = status.sandboxes[0];
    entry.pod = pod;
    entry.hostNetwork = sandbox?.hostNetwork === true;
    entry.ownIP = sandbox?.ips[0] ?? pod.status?.podIP;
    entry.terminating ||= terminating;
    for (const container of probed) {
      // What is created already may follow one that still runs.
      const instance = status.containers.find((c) => c.name === container.name && c.state !== 'created');
      this.syncContainer(status.podUID, entry, container, instance);
    }
  }

  removePod(podUID: string): void {
    const entry = this.pods.get(podUID);
    this.pods.delete(podUID);
    for (const probes of entry?.containers.values() ?? []) {
      for (const worker of probes.workers.values()) worker.stop();
    }
  }

  verdict(podUID: string, containerId: string, type: ProbeType): ProbeVerdict {
    for (const probes of this.pods.get(podUID)?.containers.values() ?? []) {
      if (probes.containerId === containerId) return probes.workers.get(type)?.verdict ?? 'success';
    }
    return 'success';
  }

  records(podUID: string): ProbeRecord[] {
    const entry = this.pods.get(podUID);
    if (!entry) return [];
    const current = [...entry.containers.values()].flatMap((c) => [...c.workers.values()].map((w) => w.record));
    return [...current, ...entry.killers.values()];
  }

  private syncContainer(
    podUID: string,
    entry: PodProbes,
    container: Container,
    instance: ContainerRuntimeStatus | undefined,
  ): void {
    let probes = entry.containers.get(container.name);
    if (probes && probes.containerId !== instance?.id) {
      retire(entry, container.name, probes);
      probes = undefined;
    }
    const running = instance?.state === 'running';
    if (running) {
      if (!probes) {
        probes = this.createProbes(podUID, entry, container, instance);
        entry.containers.set(container.name, probes);
      }
      this.beginDue(entry, probes, undefined);
    }
    for (const worker of probes?.workers.values() ?? []) {
      if (!running || (entry.terminating && worker.type !== 'readiness')) worker.stop();
    }
  }

  private createProbes(
    podUID: string,
    entry: PodProbes,
    container: Container,
    instance: ContainerRuntimeStatus,
  ): ContainerProbes {
    const { clock } = this.deps;
    const sinceStart = Math.max(0, clock.now() - instance.startedAt);
    const adopted = instance.startedAt < this.agentStartedAt;
    const published = adopted ? publishedStatus(entry.pod, container.name, instance.id) : undefined;
    const workers = new Map<ProbeType, ProbeWorker>();
    const probes: ContainerProbes = {
      containerId: instance.id,
      startedAt: clock.monotonic() - sinceStart,
      adopted,
      workers,
    };
    for (const type of TYPES) {
      const probe = probeOf(container, type);
      if (!probe) continue;
      const worker = new ProbeWorker(this.deps, {
        container,
        containerId: instance.id,
        type,
        probe,
        published: publishedVerdict(type, published),
        target: () => ({ pod: entry.pod, podIP: entry.hostNetwork ? this.options.hostIP : entry.ownIP }),
        onVerdict: (verdict) => {
          if (type === 'startup') this.beginDue(entry, probes, clock.monotonic());
          this.options.onVerdict(podUID, container.name, type, verdict);
        },
      });
      workers.set(type, worker);
    }
    return probes;
  }

  /** Begins what may begin: startup at once, the others when nothing holds them back. */
  private beginDue(entry: PodProbes, probes: ContainerProbes, gateOpenedAt: number | undefined): void {
    const startup = probes.workers.get('startup');
    const started = !startup || startup.verdict === 'success';
    for (const worker of probes.workers.values()) {
      if (worker.type !== 'startup' && !started) continue;
      if (worker.type !== 'readiness' && entry.terminating) continue;
      worker.begin(probes.startedAt, gateOpenedAt, probes.adopted && gateOpenedAt === undefined);
    }
  }
}

/** Forgets an instance that is gone, except for the probe that killed it. */
function retire(entry: PodProbes, container: string, probes: ContainerProbes): void {
  entry.containers.delete(container);
  entry.killers.delete(container);
  for (const worker of probes.workers.values()) {
    worker.stop();
    if (worker.type !== 'readiness' && worker.verdict === 'failure') entry.killers.set(container, worker.record);
  }
}

function probeOf(container: Container, type: ProbeType): Probe | undefined {
  if (type === 'liveness') return container.livenessProbe;
  return type === 'readiness' ? container.readinessProbe : container.startupProbe;
}

/** What the pod's status, as an earlier agent published it, says of this very instance. */
function publishedStatus(pod: Pod, container: string, containerId: string): ContainerStatus | undefined {
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  return statuses.find((s) => s.name === container && s.containerID?.endsWith(`//${containerId}`));
}

/** The verdict that a published status stands for; undefined where it says nothing. */
function publishedVerdict(type: ProbeType, published: ContainerStatus | undefined): ProbeVerdict | undefined {
  if (type === 'readiness') return published?.ready ? 'success' : undefined;
  return type === 'startup' && published?.started ? 'success' : undefined;
}
