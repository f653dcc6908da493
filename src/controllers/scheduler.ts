import { getCondition } from '../api/conditions.ts';
import type { Binding, Event, Pod } from '../api/generated/types.ts';
import { EVENTS, NODES, PODS, type Resource } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import { formatTime } from '../api/time.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { chooseNode, isFinished, type Placement } from './choose-node.ts';

export interface SchedulerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

const COMPONENT = 'default-scheduler';
const RETRY_MS = 1000;
const POD_BINDINGS = PODS as Resource as Resource<Binding>;

/**
 * Gives every pod without a node one, as soon as it appears, and again when nodes change. A pod that fits nowhere says so in its
 * condition PodScheduled and in an event, once for each reason.
 */
export class Scheduler {
  private readonly options: SchedulerOptions;
  private readonly pods: Informer<Pod>;
  private readonly nodes;
  /** Pods that are being bound. */
  private readonly busy = new Set<string>();
  /** Pods that got a node which the informer has not seen yet, by UID. */
  private readonly assumed = new Map<string, Pod>();
  /** Why pods fit nowhere, as they were told last, which the informer may not have seen yet; by UID. */
  private readonly told = new Map<string, string>();
  private eventSerial = 0;
  private signal: AbortSignal | undefined;

  constructor(options: SchedulerOptions) {
    this.options = options;
    this.pods = new Informer({ ...options, resource: PODS });
    this.nodes = new Informer({ ...options, resource: NODES });
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    this.signal = signal;
    const all = (): void => {
      for (const pod of this.pods.list()) this.place(pod);
    };
    this.nodes.addHandlers({ add: all, update: all });
    const nodes = this.nodes.run(signal);
    await Promise.race([this.nodes.synced, nodes]);
    this.pods.addHandlers({
      add: (pod) => this.place(pod),
      update: (pod, old) => {
        if (pod.spec.nodeName) this.assumed.delete(pod.metadata.uid!);
        this.place(pod);
        if (isFinished(pod) && !isFinished(old)) all();
      },
      delete: (pod) => {
        this.assumed.delete(pod.metadata.uid!);
        this.told.delete(pod.metadata.uid!);
        all();
      },
    });
    await Promise.all([nodes, this.pods.run(signal)]);
  }

  private place(pod: Pod): void {
    const { uid = '', deletionTimestamp } = pod.metadata;
    if (pod.spec.nodeName || deletionTimestamp || isFinished(pod) || this.busy.has(uid)) return;
    const placed = [...this.pods.list().filter(({ spec }) => spec.nodeName), ...this.assumed.values()];
    const placement = chooseNode(pod, this.nodes.list(), placed);
    const told = this.told.get(uid) ?? getCondition(pod.status?.conditions, 'PodScheduled')?.message;
    if ('unschedulable' in placement && told === placement.unschedulable) return;
    this.busy.add(uid);
    if ('node' in placement) this.assumed.set(uid, { ...pod, spec: { ...pod.spec, nodeName: placement.node } });
    void this.attempt(pod, placement).then((settled) => {
      this.busy.delete(uid);
      const current = this.pods.get(pod.metadata.name!, pod.metadata.namespace);
      if (!settled && current) this.place(current);
    });
  }

  /** @returns whether the pod needs no other look until it or a node changes */
  private async attempt(pod: Pod, placement: Placement): Promise<boolean> {
    const { clock, logger } = this.options;
    try {
      if ('node' in placement) await this.bind(pod, placement.node);
      else await this.report(pod, placement.unschedulable);
      return 'node' in placement;
    } catch (error) {
      this.assumed.delete(pod.metadata.uid!);
      // Gone, or placed by someone else.
      if (hasReason(error, 'NotFound') || hasReason(error, 'Conflict')) return true;
      logger.warn({ pod: pod.metadata.name, error: messageOf(error) }, 'scheduling failed');
      await clock.sleep(RETRY_MS, this.signal).catch(() => {});
      return this.signal?.aborted ?? false;
    }
  }

  private async bind(pod: Pod, node: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata;
    const binding: Binding = { metadata: { name, namespace, uid }, target: { kind: 'Node', name: node } };
    await this.options.client.create(POD_BINDINGS, binding, { subresource: 'binding' });
    // The kubelet comes first.
    await this.options.clock.turn();
    await this.record(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${node}`, 'Binding');
  }

  private async report(pod: Pod, message: string): Promise<void> {
    const { client, clock } = this.options;
    const { name = '', namespace, uid = '' } = pod.metadata;
    const condition = {
      type: 'PodScheduled',
      status: 'False',
      reason: 'Unschedulable',
      message,
      lastTransitionTime: formatTime(clock.now()),
      ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    };
    await client.patch(
      PODS,
      { name, namespace },
      'strategic',
      { status: { conditions: [condition] } },
      { subresource: 'status' },
    );
    if (this.pods.get(name, namespace)?.metadata.uid === uid) this.told.set(uid, message);
    await this.record(pod, 'Warning', 'FailedScheduling', message, 'Scheduling');
  }

  private async record(pod: Pod, type: string, reason: string, message: string, action: string): Promise<void> {
    const { client, clock } = this.options;
    const { name, namespace, uid, resourceVersion } = pod.metadata;
    const now = formatTime(clock.now());
    const unique = (BigInt(Math.floor(clock.now())) * 1_000_000n + BigInt(this.eventSerial++ % 1_000_000)).toString(16);
    const event: Event = {
      metadata: { name: `${name}.${unique}`, namespace },
      involvedObject: { kind: 'Pod', apiVersion: 'v1', namespace, name, uid, resourceVersion },
      type,
      reason,
      message,
      action,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: COMPONENT },
      reportingComponent: COMPONENT,
    };
    await client.create(EVENTS, event);
  }
}
