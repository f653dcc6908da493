import type { Lease, Namespace, Node, NodeStatus } from '../../api/generated/types.ts';
import { LEASES, NAMESPACES, NODES } from '../../api/resources.ts';
import { hasReason } from '../../api/status-error.ts';
import { formatMicroTime } from '../../api/time.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import type { RuntimeService } from '../../cri/runtime-service.ts';
import type { Clock } from '../../lib/clock.ts';
import { isAbort, messageOf } from '../../lib/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { generateNode, generateNodeStatus, type NodeFacts, type RuntimeHealth } from './node-status.ts';

/** Upstream: nodeLeaseDurationSeconds 40, renewed at a quarter; nodeStatusUpdateFrequency 10 s, reported at least every 5 min. */
const LEASE_SECONDS = 40;
const PERIOD_MS = 10_000;
const REPORT_ANYWAY_MS = 300_000;
const RETRY_MS = 1000;
/** A runtime that does not answer within this is down. */
const RUNTIME_TIMEOUT_MS = 5000;

export interface NodeReporterOptions {
  readonly client: KubeClient;
  readonly runtime: RuntimeService;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly facts: NodeFacts;
}

/** Registers the node, keeps its status and its lease. */
export class NodeReporter {
  private readonly client: KubeClient;
  private readonly runtime: RuntimeService;
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly facts: NodeFacts;
  private version = '';
  private known: Node | undefined;
  private reportedAt = Number.NEGATIVE_INFINITY;
  private reporting: Promise<void> | undefined;

  constructor(options: NodeReporterOptions) {
    this.client = options.client;
    this.runtime = options.runtime;
    this.clock = options.clock;
    this.logger = options.logger;
    this.facts = options.facts;
  }

  /** The node as the API server took it last. */
  get node(): Node {
    return this.known ?? generateNode(this.facts);
  }

  /** Resolves once the node is registered with its first status; then goes on until the signal aborts. */
  async start(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.register();
        await this.report();
        break;
      } catch (error) {
        if (isAbort(error)) return;
        this.logger.warn({ error: messageOf(error) }, 'node not registered, trying again');
        await this.clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
    void this.every(signal, 'node status', () => this.report());
    void this.every(signal, 'node lease', () => this.renewLease(), true);
  }

  /** Has a look at the runtime and tells the API server what changed. At most one at a time. */
  report(): Promise<void> {
    this.reporting ??= this.reportOnce().finally(() => {
      this.reporting = undefined;
    });
    return this.reporting;
  }

  private async every(signal: AbortSignal, what: string, work: () => Promise<void>, now = false): Promise<void> {
    for (let isFirst = true; !signal.aborted; isFirst = false) {
      try {
        if (!isFirst || !now) await this.clock.sleep(PERIOD_MS, signal);
        await work();
      } catch (error) {
        if (signal.aborted || isAbort(error)) return;
        this.logger.warn({ error: messageOf(error) }, `${what} not updated`);
      }
    }
  }

  private async register(): Promise<void> {
    const wanted = generateNode(this.facts);
    try {
      this.known = await this.client.create(NODES, wanted);
    } catch (error) {
      if (!hasReason(error, 'AlreadyExists')) throw error;
      const old = await this.client.get(NODES, { name: this.facts.nodeName });
      this.known = await this.client.patch(NODES, { name: this.facts.nodeName }, 'strategic', {
        metadata: { labels: wanted.metadata.labels },
        ...(old.spec?.podCIDR ? {} : { spec: wanted.spec }),
      });
    }
  }

  private async reportOnce(): Promise<void> {
    const health = await this.health();
    const now = this.clock.now();
    const previous = this.known?.status;
    const status = generateNodeStatus(this.facts, health, previous, now);
    const isOld = this.clock.monotonic() - this.reportedAt >= REPORT_ANYWAY_MS;
    if (!isOld && previous && withoutHeartbeats(previous) === withoutHeartbeats(status)) return;
    const body = { status };
    this.known = await this.client.patch(NODES, { name: this.facts.nodeName }, 'strategic', body, {
      subresource: 'status',
    });
    this.reportedAt = this.clock.monotonic();
  }

  /** What upstream says when the runtime is down, or says itself that something is missing. */
  private async health(): Promise<RuntimeHealth> {
    try {
      if (this.version === '') {
        const { runtimeName, runtimeVersion } = await this.runtime.version({ timeoutMs: RUNTIME_TIMEOUT_MS });
        this.version = `${runtimeName}://${runtimeVersion}`;
      }
      const conditions = await this.runtime.status({ timeoutMs: RUNTIME_TIMEOUT_MS });
      for (const [type, words] of [
        ['NetworkReady', 'container runtime network not ready'],
        ['RuntimeReady', 'container runtime not ready'],
      ] as const) {
        const c = conditions.find((condition) => condition.type === type);
        if (c?.status) continue;
        const detail = `${type}=false reason:${c?.reason ?? ''} message:${c?.message ?? ''}`;
        return { version: this.version, problem: `${words}: ${detail}` };
      }
      return { version: this.version, problem: undefined };
    } catch (error) {
      if (isAbort(error)) throw error;
      return { version: this.version, problem: 'container runtime is down' };
    }
  }

  private async renewLease(): Promise<void> {
    const { nodeName } = this.facts;
    const namespace = 'kube-node-lease';
    const spec = {
      holderIdentity: nodeName,
      leaseDurationSeconds: LEASE_SECONDS,
      renewTime: formatMicroTime(this.clock.now()),
    };
    try {
      await this.client.patch(LEASES, { name: nodeName, namespace }, 'merge', { spec });
    } catch (error) {
      if (!hasReason(error, 'NotFound')) throw error;
      const owner = this.known?.metadata.uid;
      const lease: Lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: {
          name: nodeName,
          namespace,
          ...(owner ? { ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: owner }] } : {}),
        },
        spec,
      };
      try {
        await this.client.create(LEASES, lease);
      } catch (failure) {
        if (!hasReason(failure, 'NotFound')) throw failure;
        // No namespace for leases yet: an API server of ours may be without it.
        const ns: Namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace }, spec: {} };
        await this.client.create(NAMESPACES, ns);
        await this.client.create(LEASES, lease);
      }
    }
  }
}

function withoutHeartbeats(status: NodeStatus): string {
  const conditions = status.conditions?.map(({ lastHeartbeatTime: _, ...rest }) => rest);
  const { capacity, allocatable, addresses, daemonEndpoints, nodeInfo } = status;
  return JSON.stringify([capacity, allocatable, addresses, conditions, daemonEndpoints, nodeInfo]);
}
