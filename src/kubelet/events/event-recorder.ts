import type { Event, ObjectReference, Pod } from '../../api/generated/types.ts';
import { EVENTS } from '../../api/resources.ts';
import { hasReason } from '../../api/status-error.ts';
import { formatTime } from '../../api/time.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { EventRecorder } from '../ports.ts';

/** client-go `tools/record/events_cache.go`: so many different messages of one kind in ten minutes are told one by one. */
const SIMILAR_LIMIT = 10;
const SIMILAR_WINDOW_MS = 600_000;
/** How many different events are remembered; the oldest are forgotten, and begin anew when they come again. */
const MAX_REMEMBERED = 4096;
/** How many writes may wait for a slow API server before events are dropped. */
const MAX_QUEUED = 1000;

interface Remembered {
  readonly namespace: string;
  readonly name: string;
  readonly firstTimestamp: string;
  count: number;
}

/** Different messages with the same object, type and reason. */
interface Similar {
  readonly messages: Set<string>;
  lastAt: number;
}

export interface ApiEventRecorderOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly nodeName: string;
  readonly component?: string;
}

/**
 * Writes Events, in order, as client-go's recorder does: a repeat raises `count` of the one there is, and what comes in ever
 * new words is told as `(combined from similar events): ...` after ten of them.
 */
export class ApiEventRecorder implements EventRecorder {
  private readonly client: KubeClient;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly nodeName: string;
  private readonly component: string;
  private readonly remembered = new Map<string, Remembered>();
  private readonly similar = new Map<string, Similar>();
  private readonly queue: (() => Promise<unknown>)[] = [];
  private writing: Promise<void> | undefined;
  private serial = 0;

  constructor(options: ApiEventRecorderOptions) {
    this.client = options.client;
    this.clock = options.clock;
    this.logger = options.logger;
    this.nodeName = options.nodeName;
    this.component = options.component ?? 'kubelet';
  }

  event(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, container?: string): void {
    const { namespace = '', name = '', uid = '' } = pod.metadata;
    const fieldPath = container && fieldPathOf(pod, container);
    this.record(
      {
        kind: 'Pod',
        apiVersion: 'v1',
        namespace,
        name,
        uid,
        ...(pod.metadata.resourceVersion ? { resourceVersion: pod.metadata.resourceVersion } : {}),
        ...(fieldPath ? { fieldPath } : {}),
      },
      type,
      reason,
      message,
    );
  }

  /** An event about any object. Cluster-wide objects' events live in namespace `default`. */
  record(object: ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const now = this.clock.now();
    const { kind = '', namespace = '', name = '', uid = '', fieldPath = '' } = object;
    const group = [kind, namespace, name, uid, fieldPath, type, reason].join('\n');
    const text = this.aggregate(group, message, now);
    // What was combined counts as one event whatever it says.
    const key = text === message ? `${group}\n${message}` : `${group}\n\0combined`;
    const old = this.remembered.get(key);
    const time = formatTime(now);
    if (old) {
      old.count++;
      this.remembered.delete(key);
      this.remembered.set(key, old);
      const patch = { count: old.count, lastTimestamp: time, message: text };
      this.write(() => this.patch(old, patch, () => this.remembered.delete(key)));
      return;
    }
    const event = this.newEvent(object, type, reason, text, time, now);
    this.remember(key, event);
    this.write(() => this.client.create(EVENTS, event));
  }

  /** Resolves once everything recorded so far has been written or given up. */
  async flush(): Promise<void> {
    while (this.writing) await this.writing;
  }

  private newEvent(
    object: ObjectReference,
    type: string,
    reason: string,
    message: string,
    time: string,
    now: number,
  ): Event {
    // Unique by time, as upstream's (ns in hex); several within one ms get a serial number.
    const suffix = (BigInt(Math.floor(now)) * 1_000_000n + BigInt(this.serial++ % 1_000_000)).toString(16);
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${object.name}.${suffix}`, namespace: object.namespace || 'default' },
      involvedObject: object,
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component: this.component, host: this.nodeName },
      reportingComponent: this.component,
      reportingInstance: this.nodeName,
    };
  }

  private aggregate(group: string, message: string, now: number): string {
    let similar = this.similar.get(group);
    if (!similar || now - similar.lastAt > SIMILAR_WINDOW_MS) similar = { messages: new Set(), lastAt: now };
    this.similar.delete(group);
    this.similar.set(group, similar);
    if (this.similar.size > MAX_REMEMBERED) this.similar.delete(this.similar.keys().next().value!);
    similar.lastAt = now;
    similar.messages.add(message);
    if (similar.messages.size < SIMILAR_LIMIT) return message;
    similar.messages.delete(similar.messages.keys().next().value!);
    return `(combined from similar events): ${message}`;
  }

  private remember(key: string, event: Event): void {
    this.remembered.set(key, {
      namespace: event.metadata.namespace!,
      name: event.metadata.name!,
      firstTimestamp: event.firstTimestamp!,
      count: 1,
    });
    if (this.remembered.size > MAX_REMEMBERED) this.remembered.delete(this.remembered.keys().next().value!);
  }

  private async patch(old: Remembered, patch: object, forget: () => void): Promise<void> {
    try {
      await this.client.patch(EVENTS, { namespace: old.namespace, name: old.name }, 'strategic', patch);
    } catch (error) {
      // It has expired or somebody deleted it: the next one begins anew.
      if (!hasReason(error, 'NotFound')) throw error;
      forget();
    }
  }

  private write(call: () => Promise<unknown>): void {
    if (this.queue.length >= MAX_QUEUED) return;
    this.queue.push(call);
    this.writing ??= this.drain();
  }

  private async drain(): Promise<void> {
    // What the event tells of comes first.
    await this.clock.turn();
    for (let call = this.queue.shift(); call; call = this.queue.shift()) {
      try {
        await call();
      } catch (error) {
        this.logger.debug({ error: messageOf(error) }, 'event not written');
      }
    }
    // In the same step in which nothing was left: what comes from now on begins anew.
    this.writing = undefined;
  }
}

/** `spec.containers{NAME}` or `spec.initContainers{NAME}`. */
function fieldPathOf(pod: Pod, container: string): string {
  const isInit = pod.spec.initContainers?.some((c) => c.name === container);
  const isEphemeral = pod.spec.ephemeralContainers?.some((c) => c.name === container);
  return `spec.${isInit ? 'initContainers' : isEphemeral ? 'ephemeralContainers' : 'containers'}{${container}}`;
}
