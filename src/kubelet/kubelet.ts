import { join } from 'node:path';
import type { Node, Pod, PodStatus } from '../api/generated/types.ts';
import { isTerminalPhase } from '../api/pod-phase.ts';
import { NODES, PODS } from '../api/resources.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { RuntimeService } from '../cri/runtime-service.ts';
import type { BackOffPolicy } from '../lib/back-off.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { PodTraces } from '../lib/pod-traces.ts';
import { findRejection, NODE_AFFINITY, type Rejection } from './admission/find-rejection.ts';
import { rejectedPodStatus } from './admission/rejected-pod-status.ts';
import { podLogDir } from './container/generate-sandbox-config.ts';
import type { KubeletParts } from './kubelet-parts.ts';
import { NodeReporter } from './node/node-reporter.ts';
import type { NodeFacts } from './node/node-status.ts';
import { Pleg, type PodIdentity } from './pleg/pleg.ts';
import type { ReadTerminationMessage } from './pleg/termination-message.ts';
import type {
  ContainerConfigFactory,
  ContainerGC,
  EventRecorder,
  HookRunner,
  HostPortManager,
  ImageManager,
  NodeSettings,
  PodCgroups,
  PodLookup,
  ProbeManager,
  VolumeManager,
} from './ports.ts';
import type { ContainerRuntimeStatus } from './runtime-status.ts';
import { StatusManager } from './status/status-manager.ts';
import { activeSandbox, CRASH_LOOP_BACK_OFF } from './sync/compute-pod-actions.ts';
import { type KillRecord, PodWorker } from './sync/pod-worker.ts';
import { tracedRuntime } from './trace/traced-runtime.ts';

export interface KubeletOptions {
  readonly client: KubeClient;
  readonly runtime: RuntimeService;
  readonly images: ImageManager;
  readonly probes: ProbeManager;
  readonly hooks: HookRunner;
  readonly volumes: VolumeManager;
  readonly configs: ContainerConfigFactory;
  readonly cgroups: PodCgroups;
  readonly hostPorts: HostPortManager;
  readonly gc: ContainerGC;
  readonly recorder: EventRecorder;
  /** Where the time goes in pods' starts. */
  readonly traces: PodTraces;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: NodeSettings;
  readonly node: NodeFacts;
  /** Which of the runtime's sandboxes are this instance's; by default by its log directory. */
  readonly owner?: string | undefined;
  /** `crashLoopBackOff.maxContainerRestartPeriod`, 1-300 s. */
  readonly maxContainerRestartPeriodMs?: number | undefined;
  /** "Unroute, then signal": see `KubeletParts.beforeStop`. */
  readonly beforeStop?: ((pod: Pod) => Promise<void>) | undefined;
  readonly readMessage?: ReadTerminationMessage | undefined;
}

/**
 * The node agent: makes what the API server says of this node's pods come true, and tells it what is. Starting it does not
 * touch what runs; stopping it neither.
 */
export class Kubelet implements PodLookup {
  /** Resolves when there is a pod to look after for the first time. */
  readonly firstPod: Promise<void>;
  private readonly options: KubeletOptions;
  private readonly parts: KubeletParts;
  private readonly pleg: Pleg;
  private readonly statuses: StatusManager;
  private readonly informer: Informer<Pod>;
  private readonly nodes: Informer<Node>;
  private readonly reporter: NodeReporter;
  private readonly workers = new Map<string, PodWorker>();
  /** UIDs of pods that wait for the newest labels of the node. */
  private readonly undecided = new Set<string>();
  private readonly stopping = new AbortController();
  private isReady = false;
  private readonly sawPod: () => void;

  constructor(options: KubeletOptions) {
    this.options = options;
    ({ promise: this.firstPod, resolve: this.sawPod } = Promise.withResolvers<void>());
    const { client, clock, logger, settings, traces } = options;
    const runtime = tracedRuntime(options.runtime, traces);
    const owner = options.owner ?? settings.podLogsDir;
    this.statuses = new StatusManager({ client, clock, logger, traces, onAcknowledged: (uid) => this.wake(uid) });
    this.pleg = new Pleg({
      runtime,
      clock,
      logger,
      owner,
      onChange: (uid) => {
        this.wake(uid);
        this.cleanUpOrphan(uid);
      },
      onReturn: () => {
        for (const worker of this.workers.values()) worker.wake();
        void this.reporter.report().catch(() => {});
      },
      ...(options.readMessage ? { readMessage: options.readMessage } : {}),
    });
    this.parts = {
      ...options,
      runtime,
      pleg: this.pleg,
      statuses: this.statuses,
      owner,
      restartBackOff: restartBackOff(options.maxContainerRestartPeriodMs),
    };
    this.informer = new Informer({
      client,
      resource: PODS,
      clock,
      logger,
      fieldSelector: `spec.nodeName=${settings.nodeName}`,
    });
    this.informer.addHandlers({
      add: (pod) => this.onPod(pod),
      update: (pod) => this.onPod(pod),
      delete: (pod) => this.onPodGone(pod),
    });
    const fieldSelector = `metadata.name=${settings.nodeName}`;
    this.nodes = new Informer({ client, resource: NODES, clock, logger, fieldSelector });
    this.reporter = new NodeReporter({ client, runtime, clock, logger, facts: options.node });
  }

  /**
   * Registers the node, lists what the runtime has and what the API server wants, and goes on from there. Resolves once the
   * node is registered and pods are looked after.
   * @param signal stops the kubelet, as `stop` does
   */
  async start(signal?: AbortSignal): Promise<void> {
    signal?.addEventListener('abort', () => this.stop(), { once: true });
    if (signal?.aborted) this.stop();
    const own = this.stopping.signal;
    // Nothing may be started before it is known what runs already.
    await Promise.all([this.reporter.start(own), this.pleg.start(own)]);
    void this.informer.run(own);
    void this.nodes.run(own);
    await Promise.race([Promise.all([this.informer.synced, this.nodes.synced]), aborted(own)]);
    if (own.aborted) return;
    this.isReady = true;
    const pods = this.informer.list().sort((a, b) => compare(creationTime(a), creationTime(b)));
    // Those that the node runs already come before those that want what is left.
    const { accepted = [], others = [] } = Object.groupBy(pods, (p) => (this.isAccepted(p) ? 'accepted' : 'others'));
    for (const pod of [...accepted, ...others]) this.onPod(pod);
    await this.cleanUpOrphans();
  }

  /** Stops looking after pods; containers live on. Idempotent. */
  stop(): void {
    if (this.stopping.signal.aborted) return;
    this.stopping.abort();
    for (const [podUID, worker] of this.workers) {
      worker.stop();
      this.options.probes.removePod(podUID); // whose timers would keep the process alive
    }
    this.statuses.stop();
  }

  /** A probe's verdict changed, or something else that the pod's worker cannot know of: it has a look. */
  wake(podUID: string): void {
    this.workers.get(podUID)?.wake();
  }

  /** Looks at the runtime and reports the node's state now rather than at the next period. */
  reportNode(): Promise<void> {
    return this.reporter.report();
  }

  // --- PodLookup

  pod(namespace: string, name: string): Pod | undefined {
    const pod = this.informer.get(name, namespace);
    return pod && (this.workers.get(pod.metadata.uid ?? '')?.current ?? pod);
  }

  pods(): Pod[] {
    return this.informer.list().map((pod) => this.workers.get(pod.metadata.uid ?? '')?.current ?? pod);
  }

  container(podUID: string, name: string, previous: boolean): ContainerRuntimeStatus | undefined {
    const instances = this.workers
      .get(podUID)
      ?.runtimeStatus.containers.filter((c) => c.name === name && c.state !== 'created');
    return instances?.[previous ? 1 : 0];
  }

  sandboxId(podUID: string): string | undefined {
    const worker = this.workers.get(podUID);
    return worker && activeSandbox(worker.current, worker.runtimeStatus)?.id;
  }

  logPath(podUID: string, container: string, previous: boolean): string | undefined {
    const worker = this.workers.get(podUID);
    if (!worker) return undefined;
    const { metadata, status } = worker.current;
    const shown = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].find(
      (s) => s.name === container,
    );
    const restarts = (shown?.restartCount ?? 0) - (previous ? 1 : 0);
    if (!shown?.containerID || restarts < 0) return undefined;
    const { namespace = '', name = '' } = metadata;
    const dir = podLogDir(this.options.settings.podLogsDir, { namespace, name, podUID });
    return join(dir, container, `${restarts}.log`);
  }

  /** Who was killed, why, and which probe results led to it; newest first. */
  kills(podUID: string): readonly KillRecord[] {
    return this.workers.get(podUID)?.killRecords ?? [];
  }

  // --- pods

  private onPod(pod: Pod): void {
    if (!this.isReady) return;
    const podUID = pod.metadata.uid ?? '';
    this.statuses.observe(pod);
    const worker = this.workers.get(podUID);
    if (worker) {
      worker.update(pod);
      return;
    }
    if (this.undecided.has(podUID)) return;
    this.sawPod();
    const { traces } = this.options;
    traces.followed(podUID, pod.status?.startTime === undefined);
    traces.note({ podUID }, 'seen by the kubelet');
    this.admit(pod);
  }

  /** Looks after a pod from now on: makes it run, or, if the node cannot take it, only tells that and waits for its deletion. */
  private admit(pod: Pod, newest?: Node): void {
    const node = newest ?? this.nodes.get(this.options.settings.nodeName) ?? this.reporter.node;
    const { hasAppArmor } = this.options.node;
    const rejection = this.isAccepted(pod) ? undefined : findRejection(pod, node, this.activePods(), hasAppArmor);
    if (rejection?.reason === NODE_AFFINITY && !newest) {
      void this.admitLater(pod, node);
      return;
    }
    const status = rejection && this.reject(pod, rejection);
    const known = status ? { ...pod, status } : pod;
    this.look(new PodWorker({ pod: known, parts: this.parts, onDone: (uid) => this.onDone(uid) }));
  }

  /** As upstream: a label that was set a moment ago may not have been seen yet, so the node is asked for. */
  private async admitLater({ metadata }: Pod, known: Node): Promise<void> {
    const { uid: podUID = '', name = '', namespace } = metadata;
    const { client, settings } = this.options;
    this.undecided.add(podUID);
    const node = await client.get(NODES, { name: settings.nodeName }).catch(() => known);
    this.undecided.delete(podUID);
    const pod = this.informer.get(name, namespace);
    if (pod?.metadata.uid === podUID && !this.stopping.signal.aborted) this.admit(pod, node);
  }

  /** Tells that a pod's life ends before it begins. @returns its status from now on */
  private reject(pod: Pod, rejection: Rejection): PodStatus {
    const { clock, logger, recorder } = this.options;
    const { reason, message } = rejection;
    const { name, namespace } = pod.metadata;
    logger.info({ pod: name, namespace, reason }, message);
    recorder.event(pod, 'Warning', reason, message);
    const status = rejectedPodStatus(pod, rejection, clock.now());
    this.statuses.set(pod, status);
    return status;
  }

  /** Whether the node has begun with a pod, or has nothing to begin with: then it takes it whatever has changed since. */
  private isAccepted({ metadata, status }: Pod): boolean {
    return (
      status?.startTime !== undefined ||
      isTerminalPhase(status?.phase) ||
      metadata.deletionTimestamp !== undefined ||
      this.pleg.identity(metadata.uid ?? '') !== undefined
    );
  }

  /** The pods that have a claim to what the node has. */
  activePods(): Pod[] {
    const alive = [...this.workers.values()].filter((worker) => !worker.gone && worker.stage !== 'terminated');
    return alive.map((worker) => worker.current).filter((pod) => !isTerminalPhase(pod.status?.phase));
  }

  private onPodGone(pod: Pod): void {
    const worker = this.workers.get(pod.metadata.uid ?? '');
    if (!worker) return;
    worker.removed();
    this.statuses.forget(worker.podUID);
    this.onDone(worker.podUID);
  }

  private onDone(podUID: string): void {
    // One whose object is still there stays known, so that it is not begun anew.
    const worker = this.workers.get(podUID);
    if (!worker?.gone || !worker.done) return;
    this.workers.delete(podUID);
    this.options.traces.forget(podUID);
    this.options.cgroups.balance();
    // It may be ours after all: a power cut took back that it had been given to us, and it was given to us again meanwhile.
    const { name = '', namespace } = worker.current.metadata;
    const pod = this.informer.get(name, namespace);
    if (pod?.metadata.uid === podUID) this.onPod(pod);
    else this.cleanUpOrphan(podUID);
  }

  private look(worker: PodWorker): void {
    this.workers.set(worker.podUID, worker);
    worker.wake();
  }

  /** Removes what the runtime has of a pod that nobody looks after: it was deleted while we were away, or came up after its end. */
  private cleanUpOrphan(podUID: string): void {
    if (!this.isReady || this.workers.has(podUID)) return;
    const identity = this.pleg.identity(podUID);
    if (!identity) return;
    this.options.logger.info({ pod: identity.name, namespace: identity.namespace }, 'pod without an object is removed');
    const pod = orphanPod(identity, this.pleg.status(identity).containers);
    this.look(new PodWorker({ pod, parts: this.parts, onDone: (uid) => this.onDone(uid), orphan: true }));
  }

  /** What the runtime or the disk still has of pods that the API server does not know: they were deleted while we were away. */
  private async cleanUpOrphans(): Promise<void> {
    for (const podUID of this.pleg.podUIDs()) this.cleanUpOrphan(podUID);
    try {
      for (const podUID of await this.options.volumes.listPodUIDs()) {
        if (!this.workers.has(podUID)) await this.options.volumes.tearDown(podUID);
      }
      // Of pods that we, when we died, had removed from the runtime and nowhere else.
      // New pods may come meanwhile, so the map itself is asked.
      await Promise.all([this.options.hostPorts.retain(this.workers), this.options.gc.retain(this.workers)]);
    } catch (error) {
      this.options.logger.warn({ error: messageOf(error) }, 'what deleted pods left is not removed');
    }
  }
}

function creationTime({ metadata }: Pod): string {
  return metadata.creationTimestamp ?? '';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As much of a pod as its containers tell. */
function orphanPod(identity: PodIdentity, containers: readonly ContainerRuntimeStatus[]): Pod {
  const names = new Set(containers.map((c) => c.name));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: identity.name, namespace: identity.namespace, uid: identity.podUID },
    spec: { containers: [...names].map((name) => ({ name })) },
  };
}

/** Resolves when the signal aborts. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function restartBackOff(maxMs: number | undefined): BackOffPolicy {
  return maxMs === undefined ? CRASH_LOOP_BACK_OFF : { ...CRASH_LOOP_BACK_OFF, maxMs };
}
