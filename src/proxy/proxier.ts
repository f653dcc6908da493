import type { Endpoint, EndpointSlice, ObjectReference, Pod, Service } from '../api/generated/types.ts';
import { newlyReady } from '../api/newly-ready.ts';
import { ENDPOINTSLICES, referenceTo, SERVICES } from '../api/resources.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf, UserError } from '../lib/errors.ts';
import type { InstanceLayout } from '../lib/instance.ts';
import type { Logger } from '../lib/logger.ts';
import { isMissing, type RunNft, runNft } from '../lib/nft.ts';
import type { PodTraces } from '../lib/pod-traces.ts';
import type { UdpFlows } from '../lib/udp-flows.ts';
import { computeServiceRules, type FrontendKey, type ProxyNode, type ServiceRules } from './compute-rules.ts';
import { NftSession } from './nft-session.ts';
import { baseCommands, clearCommands, commandLine } from './proxy-table.ts';
import { type NftCommand, RuleBook } from './rule-book.ts';

/** Writes Events about Services; never throws, never blocks. */
export interface ServiceEvents {
  record(object: ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export interface ProxierOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: ServiceEvents;
  /** Told when the kernel leads to pods. */
  readonly traces?: PodTraces | undefined;
  readonly layout: Pick<InstanceLayout, 'nftTable'>;
  /** Where pods come from; cluster addresses are for them and the host alone. Undefined: not known, and for all. */
  readonly bridge: string | undefined;
  readonly node: ProxyNode;
  /** Lets packets from 127.0.0.1 be sent on to pods, for node ports. */
  readonly routeLocalnet: () => Promise<void>;
  readonly udpFlows: UdpFlows;
  /** Runs nft; another one in tests. */
  readonly nft?: RunNft;
  readonly session?: Pick<NftSession, 'run' | 'close'>;
}

const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';
const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 30_000;
/** A proxy that is broken must not keep pods from being deleted. */
const UNROUTE_TIMEOUT_MS = 1000;

type Changes = ReadonlyMap<string, ServiceRules | undefined>;

/**
 * Keeps the kernel's rules as the API server's Services and EndpointSlices want them: each change is applied as soon as it is heard of,
 * as one transaction that holds the difference only; what comes while one is under way is applied together as the next. What fails is
 * made anew from nothing, and a Service that alone makes it fail is left out.
 */
export class Proxier {
  /** Resolves when the rules first are as they should be. */
  readonly synced: Promise<void>;
  private readonly options: ProxierOptions;
  private readonly services: Informer<Service>;
  private readonly slices: Informer<EndpointSlice>;
  private readonly slicesOf = new Map<string, Map<string, EndpointSlice>>();
  private readonly nft: RunNft;
  private readonly session: Pick<NftSession, 'run' | 'close'>;
  private book = new RuleBook();
  /** Services that may want something else than the kernel has. */
  private dirty = new Set<string>();
  /** Why everything is made anew. */
  private rebuildReason: string | undefined = 'start';
  /** Pods that became ready, to which the kernel does not lead yet. For their traces. */
  private arrivals: { readonly podUID: string; readonly service: string; readonly since: number }[] = [];
  private isBusy = false;
  private hasRules = false;
  private markSynced = (): void => {};
  private wake = (): void => {};
  /** Those who wait for the next look at what is applied. */
  private readonly watchers = new Set<() => void>();

  constructor(options: ProxierOptions) {
    this.options = options;
    const { client, clock, logger } = options;
    this.nft = options.nft ?? runNft;
    this.session = options.session ?? new NftSession({ nft: this.nft, clock, logger });
    this.synced = new Promise((resolve) => {
      this.markSynced = resolve;
    });
    this.services = new Informer({ client, clock, logger, resource: SERVICES });
    this.slices = new Informer({ client, clock, logger, resource: ENDPOINTSLICES });
    const onService = (service: Service): void => this.touch(keyOf(service.metadata));
    this.services.addHandlers({ add: onService, update: onService, delete: onService });
    this.slices.addHandlers({
      add: (slice) => this.putSlice(slice, undefined),
      update: (slice, old) => {
        if (serviceOf(slice) !== serviceOf(old)) this.dropSlice(old);
        this.putSlice(slice, old);
      },
      delete: (slice) => this.dropSlice(slice),
    });
  }

  /** Runs until the signal aborts; never rejects. The rules stay: those who use the Services need no agent. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.wake(), { once: true });
    const informers = Promise.all([this.services.run(signal), this.slices.run(signal)]);
    await Promise.race([Promise.all([this.services.synced, this.slices.synced]), informers]);
    let retryMs = 0;
    while (!signal.aborted) {
      if (this.rebuildReason === undefined && this.dirty.size === 0) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
        continue;
      }
      this.isBusy = true;
      const { arrivals } = this;
      this.arrivals = [];
      try {
        await this.sync();
        for (const { podUID, service, since } of arrivals) {
          this.options.traces?.note({ podUID }, 'kernel rules', nameOf(service), since);
        }
        this.markSynced();
        this.hasRules = true;
        retryMs = 0;
      } catch (error) {
        this.rebuildReason = messageOf(error);
        this.hasRules = false;
        retryMs = Math.min(MAX_RETRY_MS, retryMs === 0 ? FIRST_RETRY_MS : retryMs * 2);
        this.options.logger.warn({ error: messageOf(error), retryMs }, 'the rules for Services are not applied');
        await this.options.clock.sleep(retryMs, signal).catch(() => {});
      } finally {
        this.isBusy = false;
        this.tellWatchers();
      }
    }
    this.session.close();
    await informers;
  }

  /** Makes all rules anew: somebody removed them. */
  rebuild(reason: string): void {
    this.rebuildReason = reason;
    this.wake();
  }

  /**
   * Resolves once no Service leads new connections to this pod, which is being deleted; or, when it is the last one left of a
   * Service and still serves, once it is known to be ending. Resolves after a second in any case, with whether it is one of a
   * Service's pods at all, so that connections may be under way.
   */
  async waitUnrouted(pod: Pod): Promise<boolean> {
    if (!this.isUnrouted(pod)) await this.untilUnrouted(pod);
    return this.endpointsOf(pod).length > 0;
  }

  /** Whether the kernel has what was last wanted of it. */
  isHealthy(): boolean {
    return this.hasRules;
  }

  /** How many ready endpoints a Service has on this node, each address once. @param key `NAMESPACE/NAME` */
  localReadyEndpoints(key: string): number {
    const addresses = new Set<string>();
    for (const { addressType, endpoints } of this.slicesOf.get(key)?.values() ?? []) {
      if (addressType !== 'IPv4') continue;
      for (const { addresses: own, conditions, nodeName } of endpoints ?? []) {
        if ((conditions?.ready ?? true) && nodeName === this.options.node.nodeName) addresses.add(own[0] ?? '');
      }
    }
    return addresses.size;
  }

  private async untilUnrouted(pod: Pod): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.watchers.delete(look);
        resolve();
      };
      const timer = this.options.clock.setTimer(UNROUTE_TIMEOUT_MS, () => {
        this.options.logger.warn(
          { pod: pod.metadata.name },
          'the pod is stopped although Services may still lead to it',
        );
        done();
      });
      const look = (): void => {
        if (this.isUnrouted(pod)) done();
      };
      this.watchers.add(look);
    });
  }

  private isUnrouted(pod: Pod): boolean {
    // What is not ready is not in the rules; what is ending may be, as the last resort.
    const isKnown = this.endpointsOf(pod).every(
      ({ conditions }) => conditions?.terminating || !(conditions?.ready ?? true),
    );
    if (!isKnown) return false;
    const isApplied = !this.isBusy && this.dirty.size === 0;
    return isApplied || !pod.status?.podIPs?.some(({ ip = '' }) => this.book.leadsTo(ip));
  }

  private endpointsOf({ metadata }: Pod): Endpoint[] {
    const found: Endpoint[] = [];
    for (const [service, slices] of this.slicesOf) {
      if (namespaceOf(service) !== metadata.namespace) continue;
      for (const { endpoints } of slices.values()) {
        for (const endpoint of endpoints ?? []) if (endpoint.targetRef?.uid === metadata.uid) found.push(endpoint);
      }
    }
    return found;
  }

  private touch(key: string): void {
    this.dirty.add(key);
    this.wake();
  }

  private putSlice(slice: EndpointSlice, old: EndpointSlice | undefined): void {
    const service = serviceOf(slice);
    if (service === undefined) return;
    const since = this.options.clock.monotonic();
    if (this.options.traces) {
      for (const podUID of newlyReady(slice, old)) this.arrivals.push({ podUID, service, since });
    }
    let slices = this.slicesOf.get(service);
    if (!slices) {
      slices = new Map();
      this.slicesOf.set(service, slices);
    }
    slices.set(slice.metadata.name ?? '', slice);
    this.touch(service);
  }

  private dropSlice(slice: EndpointSlice): void {
    const service = serviceOf(slice);
    if (service === undefined) return;
    const slices = this.slicesOf.get(service);
    slices?.delete(slice.metadata.name ?? '');
    if (slices?.size === 0) this.slicesOf.delete(service);
    this.touch(service);
  }

  private tellWatchers(): void {
    for (const look of [...this.watchers]) look();
  }

  // --- applying

  private async sync(): Promise<void> {
    const changed = this.dirty;
    this.dirty = new Set();
    if (this.rebuildReason !== undefined) return this.makeAnew(this.rebuildReason);
    try {
      await this.apply(this.wanted(changed));
    } catch (error) {
      if (error instanceof UserError) throw error;
      await this.makeAnew(messageOf(error));
    }
  }

  /** The rules of these Services as they should be. */
  private wanted(keys: Iterable<string>): Map<string, ServiceRules | undefined> {
    const changes = new Map<string, ServiceRules | undefined>();
    for (const key of keys) {
      const service = this.services.get(nameOf(key), namespaceOf(key));
      const slices = [...(this.slicesOf.get(key)?.values() ?? [])];
      changes.set(key, service && computeServiceRules(service, slices, this.options.node, this.book.get(key)));
    }
    return changes;
  }

  private async apply(changes: Changes): Promise<void> {
    const plan = this.book.plan(changes);
    const { layout, logger } = this.options;
    if (plan.commands.length > 0) {
      await this.letLoopbackIn(changes);
      const start = this.options.clock.monotonic();
      await this.session.run(plan.commands.map((command) => commandLine(layout.nftTable, command)));
      const tookMs = this.options.clock.monotonic() - start;
      logger.debug({ services: [...changes.keys()].slice(0, 10), tookMs }, 'rules applied');
    }
    plan.commit();
    for (const { service, frontend, owner } of plan.conflicts) {
      this.warn(service, 'FailedRouting', `${inWords(frontend)} leads to Service ${owner} already`);
    }
    void this.options.udpFlows.forget(plan.leftUdp);
    void this.options.udpFlows.forgetStrays(plan.newUdp);
  }

  /** Everything, from nothing; if not that, then everything but the Services that are to blame. */
  private async makeAnew(reason: string): Promise<void> {
    const { logger } = this.options;
    // In the order in which they came to be: who was first keeps what two of them want.
    const keys = this.services
      .list()
      .sort(byAge)
      .map((service) => keyOf(service.metadata));
    const wanted = this.wanted(keys);
    if (reason !== 'start') logger.warn({ reason, services: keys.length }, 'making all rules for Services anew');
    try {
      await this.replaceAll(wanted);
    } catch (error) {
      if (error instanceof UserError) {
        for (const key of keys) this.warn(key, 'FailedRouting', `Not reachable at its addresses: ${error.message}`);
        throw error;
      }
      await this.restoreWhatWorked();
      const gone = this.book.keys().filter((key) => !wanted.has(key));
      await this.applyWhatWorks(new Map([...wanted, ...gone.map((key) => [key, undefined] as const)]));
    }
    this.rebuildReason = undefined;
  }

  private async replaceAll(wanted: Changes): Promise<void> {
    const { layout, bridge } = this.options;
    const book = new RuleBook();
    const plan = book.plan(wanted);
    const sets = new Set([...wanted.values()].flatMap((rules) => [...(rules?.sets.keys() ?? [])]));
    const commands: NftCommand[] = [...(await this.clear(sets)), ...baseCommands(bridge), ...plan.commands];
    await this.letLoopbackIn(wanted);
    const lines = commands.map((command) => `${commandLine(layout.nftTable, command)}\n`);
    await this.nft(['-f', '-'], `add table ip ${layout.nftTable}\n${lines.join('')}`);
    plan.commit();
    this.book = book;
    void this.options.udpFlows.forgetStrays(plan.newUdp);
    for (const { service, frontend, owner } of plan.conflicts) {
      this.warn(service, 'FailedRouting', `${inWords(frontend)} leads to Service ${owner} already`);
    }
  }

  private async restoreWhatWorked(): Promise<void> {
    const before = new Map(this.book.keys().map((key) => [key, this.book.get(key)]));
    try {
      await this.replaceAll(before);
    } catch {
      await this.replaceAll(new Map());
    }
  }

  private async clear(kept: ReadonlySet<string>): Promise<NftCommand[]> {
    try {
      return clearCommands(await this.nft(['-j', '-t', 'list', 'table', 'ip', this.options.layout.nftTable]), kept);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** Halves, until the Services that cannot be applied are alone. */
  private async applyWhatWorks(changes: Changes): Promise<void> {
    try {
      await this.apply(changes);
    } catch (error) {
      if (error instanceof UserError) throw error;
      const all = [...changes];
      if (all.length === 1) {
        this.warn(all[0]![0], 'FailedRouting', `The kernel refuses its rules: ${messageOf(error)}`);
        return;
      }
      const middle = all.length >> 1;
      await this.applyWhatWorks(new Map(all.slice(0, middle)));
      await this.applyWhatWorks(new Map(all.slice(middle)));
    }
  }

  private async letLoopbackIn(changes: Changes): Promise<void> {
    for (const rules of changes.values()) {
      for (const key of rules?.frontends.keys() ?? []) {
        if (/^\d/.test(key)) continue;
        await this.options.routeLocalnet();
        return;
      }
    }
  }

  private warn(key: string, reason: string, message: string): void {
    this.options.logger.warn({ service: key, message }, 'Service not routed');
    const service = this.services.get(nameOf(key), namespaceOf(key));
    if (!service) return;
    this.options.events.record(referenceTo(SERVICES, service), 'Warning', reason, message);
  }
}

function keyOf({ namespace, name }: { namespace?: string; name?: string }): string {
  return `${namespace}/${name}`;
}

function serviceOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[SERVICE_NAME_LABEL];
  return name === undefined ? undefined : `${metadata.namespace}/${name}`;
}

function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function nameOf(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}

function byAge(a: Service, b: Service): number {
  const when = ({ metadata }: Service): string => `${metadata.creationTimestamp} ${keyOf(metadata)}`;
  return when(a) < when(b) ? -1 : 1;
}

/** `TCP 192.0.2.1:80`, or `TCP node port 30080`. */
function inWords(frontend: FrontendKey): string {
  const words = frontend.split(' . ');
  if (words.length === 2) return `${words[0]!.toUpperCase()} node port ${words[1]}`;
  return `${words[1]!.toUpperCase()} ${words[0]}:${words[2]}`;
}
