import { getCondition } from '../../api/conditions.ts';
import type { Pod, PodStatus } from '../../api/generated/types.ts';
import { PODS } from '../../api/resources.ts';
import { hasReason } from '../../api/status-error.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import type { Clock } from '../../lib/clock.ts';
import { isAbort, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import type { PodTraces, TraceOutcome } from '../../lib/pod-traces.ts';
import { sameStatus, statusPatch } from './status-patch.ts';

interface Entry {
  readonly namespace: string;
  readonly name: string;
  readonly podUID: string;
  /** What shall be. */
  wanted: PodStatus;
  /** What the API server is known to hold. */
  acknowledged: PodStatus;
  /** The object shall go, once `wanted` is there. */
  deleting: boolean;
  writing: boolean;
  /** While writing has yet to begin: what was set, oldest first. Each is told, however soon the next one came. */
  due: PodStatus[] | undefined;
  /** Of the object as our last write left it. */
  version: bigint;
}

export interface StatusManagerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly traces: PodTraces;
  /** The API server has taken a pod's status. */
  readonly onAcknowledged?: (podUID: string) => void;
}

const FIRST_RETRY_MS = 200;
const MAX_RETRY_MS = 10_000;

/**
 * Writes pods' statuses to the API server: in order, only what changed, the newest only when it is slow. Nobody waits for it;
 * what fails is tried again until it is done or the pod is gone.
 */
export class StatusManager {
  private readonly client: KubeClient;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly traces: PodTraces;
  private readonly onAcknowledged: (podUID: string) => void;
  private readonly entries = new Map<string, Entry>();
  private readonly stopping = new AbortController();

  constructor(options: StatusManagerOptions) {
    this.client = options.client;
    this.clock = options.clock;
    this.logger = options.logger;
    this.traces = options.traces;
    this.onAcknowledged = options.onAcknowledged ?? (() => {});
  }

  /** The newest status that was set. */
  status(podUID: string): PodStatus | undefined {
    return this.entries.get(podUID)?.wanted;
  }

  /** What the API server is known to hold; undefined before the first write. */
  acknowledged(podUID: string): PodStatus | undefined {
    return this.entries.get(podUID)?.acknowledged;
  }

  /**
   * From now on this shall be the pod's status: written when it is another, or when somebody else has changed what the API server
   * holds (upstream: needsReconcile). Takes ownership of `status`.
   */
  set(pod: Pod, status: PodStatus): void {
    const entry = this.entryOf(pod);
    if (!sameStatus(entry.wanted, status)) {
      entry.wanted = status;
      entry.due?.push(status);
    } else if (entry.acknowledged === entry.wanted || !statusPatch(entry.acknowledged, entry.wanted)) return;
    this.write(entry);
  }

  /** A newer object came from the API server. */
  observe(pod: Pod): void {
    const entry = this.entries.get(pod.metadata.uid ?? '');
    // A watch lags behind our own writes.
    if (!entry || entry.writing || versionOf(pod) < entry.version) return;
    const status = pod.status ?? {};
    entry.acknowledged = sameStatus(status, entry.wanted) ? entry.wanted : status;
  }

  /** Everything of the pod is gone from this node: deletes the object, once its last status is written. */
  finishDeletion(pod: Pod): void {
    const entry = this.entryOf(pod);
    entry.deleting = true;
    this.write(entry);
  }

  /** The object is gone. */
  forget(podUID: string): void {
    this.entries.delete(podUID);
  }

  stop(): void {
    this.stopping.abort();
  }

  private entryOf(pod: Pod): Entry {
    const { uid = '', namespace = '', name = '' } = pod.metadata;
    let entry = this.entries.get(uid);
    if (!entry) {
      const status = pod.status ?? {};
      entry = {
        namespace,
        name,
        podUID: uid,
        wanted: status,
        acknowledged: status,
        deleting: false,
        writing: false,
        due: undefined,
        version: versionOf(pod),
      };
      this.entries.set(uid, entry);
    }
    return entry;
  }

  private write(entry: Entry): void {
    if (entry.writing) return;
    entry.writing = true;
    entry.due = [entry.wanted];
    void this.writeAll(entry);
  }

  /** Until the API server holds what is wanted. */
  private async writeAll(entry: Entry): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    // What is done to a pod that starts comes first.
    if (entry.wanted.phase === 'Pending') await this.clock.turn();
    const due = entry.due ?? [];
    entry.due = undefined;
    while (this.entries.get(entry.podUID) === entry) {
      const wanted = due.shift() ?? entry.wanted;
      const patch = statusPatch(entry.acknowledged, wanted);
      if (!patch && due.length > 0) continue;
      if (!patch && !entry.deleting) break;
      try {
        await (patch ? this.patch(entry, wanted, patch) : this.deleteObject(entry));
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        if (hasReason(error, 'NotFound') || (hasReason(error, 'Conflict') && (await this.isReplaced(entry)))) {
          // Gone, or another pod of that name: there is nothing to write to.
          this.forget(entry.podUID);
          break;
        }
        if (isAbort(error) || this.stopping.signal.aborted) break;
        this.logger.warn(
          { pod: entry.name, namespace: entry.namespace, error: messageOf(error) },
          'status not written',
        );
        try {
          await this.clock.sleep(retryMs, this.stopping.signal);
        } catch {
          break;
        }
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS);
      }
    }
    entry.writing = false;
  }

  /** A conflict may also be that others wrote at the same time. */
  private async isReplaced({ namespace, name, podUID }: Entry): Promise<boolean> {
    try {
      return (await this.client.get(PODS, { namespace, name })).metadata.uid !== podUID;
    } catch (error) {
      return hasReason(error, 'NotFound');
    }
  }

  private async patch(entry: Entry, wanted: PodStatus, patch: Record<string, unknown>): Promise<void> {
    const { namespace, name, podUID } = entry;
    const body = { metadata: { uid: podUID }, status: patch };
    const since = this.clock.monotonic();
    const outcome = outcomeOf(wanted);
    const pod = await this.traces.measure(
      { podUID },
      'status write',
      () => this.client.patch(PODS, { namespace, name }, 'strategic', body, { subresource: 'status' }),
      outcome ?? wanted.phase,
    );
    if (outcome) this.traces.settled(podUID, outcome, since);
    entry.acknowledged = wanted;
    entry.version = versionOf(pod);
    this.onAcknowledged(podUID);
  }

  private async deleteObject(entry: Entry): Promise<void> {
    const { namespace, name, podUID } = entry;
    await this.client.delete(PODS, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid: podUID } });
    entry.deleting = false;
  }
}

/** What a pod's start can lead to, once it is there. */
function outcomeOf({ phase, conditions }: PodStatus): TraceOutcome | undefined {
  if (phase === 'Succeeded' || phase === 'Failed') return phase;
  return getCondition(conditions, 'Ready')?.status === 'True' ? 'Ready' : undefined;
}

/** The order number of an object's state; API servers promise that it is one (since 1.35). */
function versionOf(pod: Pod): bigint {
  const text = pod.metadata.resourceVersion ?? '';
  return /^[0-9]+$/.test(text) ? BigInt(text) : 0n;
}
