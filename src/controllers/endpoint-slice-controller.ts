import type { EndpointSlice, Endpoints, ObjectReference, Pod, Service } from '../api/generated/types.ts';
import { newlyReady } from '../api/newly-ready.ts';
import { ENDPOINTS, ENDPOINTSLICES, PODS, referenceTo, SERVICES } from '../api/resources.ts';
import { ApiStatusError, hasReason } from '../api/status-error.ts';
import { Informer } from '../client/informer.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import type { PodTraces } from '../lib/pod-traces.ts';
import { isLeaderRecord, isMirrored, mirrorEndpoints } from './mirror-endpoints.ts';
import type { SlicePlan } from './plan-slices.ts';
import { reconcileEndpointSlices } from './reconcile-endpoint-slices.ts';
import { reconcileEndpoints } from './reconcile-endpoints.ts';
import { keyOf, ServiceIndex } from './service-index.ts';
import { lostPorts, selectsPods } from './service-pods.ts';
import { TriggerTimes } from './trigger-times.ts';

/** Writes Events; never throws, never blocks. */
export interface ObjectEvents {
  record(object: ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

export interface EndpointSliceControllerOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: ObjectEvents;
  /** Told when pods become ready endpoints. */
  readonly traces?: PodTraces | undefined;
}

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;
/** The older form comes after the slices: writing it must not hold up who waits for them. */
const ENDPOINTS_DELAY_MS = 20;

/** What is done for one Service, one thing after the other. */
interface Worker {
  readonly triggerTimes: TriggerTimes;
  /** Target ports that no pod has, of which was told. */
  toldPorts: ReadonlySet<string>;
  /** When the first change happened that the Endpoints do not tell yet. */
  endpointsTime: string | undefined;
  endpointsTimer: Timer | undefined;
  endpointsDue: boolean;
  again: boolean;
}

/**
 * Keeps what stands behind each Service: EndpointSlices and Endpoints made from the pods that it selects, or slices made from the
 * Endpoints that somebody wrote. Nothing is put off: a pod's change is written as soon as it is heard of, for the kernel's rules wait.
 */
export class EndpointSliceController {
  private readonly options: EndpointSliceControllerOptions;
  private readonly services: Informer<Service>;
  private readonly pods: Informer<Pod>;
  private readonly slices: Informer<EndpointSlice>;
  private readonly endpoints: Informer<Endpoints>;
  private readonly index = new ServiceIndex();
  /** By Service; only of those that are being looked after. */
  private readonly workers = new Map<string, Worker>();
  private readonly busy = new Set<string>();
  /** Services that were deleted, whose Endpoints must follow. */
  private readonly deleted = new Set<string>();
  private signal: AbortSignal | undefined;

  constructor(options: EndpointSliceControllerOptions) {
    this.options = options;
    this.services = new Informer({ ...options, resource: SERVICES });
    this.pods = new Informer({ ...options, resource: PODS });
    this.slices = new Informer({ ...options, resource: ENDPOINTSLICES });
    this.endpoints = new Informer({ ...options, resource: ENDPOINTS });
  }

  /** Runs until the signal aborts; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    this.listen();
    const informers = [this.pods, this.slices, this.endpoints, this.services];
    const running = Promise.all(informers.map((informer) => informer.run(signal)));
    await Promise.race([Promise.all(informers.map(({ synced }) => synced)), running]);
    // Not before everything is known: pods would seem to be gone.
    this.signal = signal;
    const everyone = [...this.services.list().map(keyOf), ...this.index.sliceOwners()];
    // Their Services may have been deleted while nobody looked.
    const orphans = this.endpoints.list().filter((each) => !isLeaderRecord(each) && !this.index.service(keyOf(each)));
    for (const orphan of orphans) this.deleted.add(keyOf(orphan));
    this.syncAll([...new Set([...everyone, ...orphans.map(keyOf)])]);
    await running;
  }

  private listen(): void {
    const { index } = this;
    const setPod = (pod: Pod): void => this.syncAll(index.setPod(pod));
    this.pods.addHandlers({ add: setPod, update: setPod, delete: (pod) => this.syncAll(index.removePod(pod)) });
    const setSlice = (slice: EndpointSlice): void => this.syncAll(index.setSlice(slice));
    this.slices.addHandlers({
      add: setSlice,
      update: setSlice,
      delete: (slice) => this.syncAll(index.removeSlice(slice)),
    });
    const setService = (service: Service): void => {
      index.setService(service);
      this.deleted.delete(keyOf(service));
      this.syncAll([keyOf(service)]);
    };
    this.services.addHandlers({
      add: setService,
      update: setService,
      delete: (service) => {
        index.removeService(service);
        this.deleted.add(keyOf(service));
        this.syncAll([keyOf(service)]);
      },
    });
    const changed = (endpoints: Endpoints): void => this.syncAll([keyOf(endpoints)]);
    this.endpoints.addHandlers({ add: changed, update: changed, delete: changed });
  }

  private syncAll(keys: readonly string[]): void {
    if (this.signal === undefined || this.signal.aborted) return;
    for (const key of keys) {
      const worker = this.workers.get(key) ?? newWorker();
      this.workers.set(key, worker);
      this.wake(key, worker, this.signal);
    }
  }

  private wake(key: string, worker: Worker, signal: AbortSignal): void {
    if (this.busy.has(key)) worker.again = true;
    else void this.work(key, worker, signal);
  }

  /** Until nothing is left to do. Its first step runs before it returns. */
  private async work(key: string, worker: Worker, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.options;
    let retryMs = 0;
    this.busy.add(key);
    do {
      worker.again = false;
      try {
        await this.sync(key, worker, signal);
        retryMs = 0;
      } catch (error) {
        // Somebody wrote in between, which is about to be heard of.
        if (hasReason(error, 'Conflict') || hasReason(error, 'AlreadyExists')) retryMs = Math.max(retryMs, 1);
        else logger.warn({ service: key, error: messageOf(error) }, 'endpoints not written');
        retryMs = Math.min(MAX_RETRY_MS, retryMs === 0 ? FIRST_RETRY_MS : retryMs * 2);
        await clock.sleep(retryMs, signal).catch(() => {});
        worker.again = true;
      }
    } while (worker.again && !signal.aborted);
    this.busy.delete(key);
    if (!this.index.service(key)) this.workers.delete(key);
  }

  /** One look, and the writes that follow from it. */
  private async sync(key: string, worker: Worker, signal: AbortSignal): Promise<void> {
    const { index } = this;
    const [namespace, name] = key.split('/') as [string, string];
    const service = index.service(key);
    const existing = index.slicesOf(key);
    const endpoints = this.endpoints.get(name, namespace);
    if (service && selectsPods(service)) {
      const pods = index.podsOf(key);
      const time = worker.triggerTimes.next(service, pods);
      await this.carryOut(reconcileEndpointSlices(service, pods, existing, time), existing);
      worker.endpointsTime ??= time;
      if (worker.endpointsDue) {
        worker.endpointsDue = false;
        const wanted = reconcileEndpoints(service, pods, endpoints, worker.endpointsTime);
        if (wanted) await this.writeEndpoints(wanted);
        worker.endpointsTime = undefined;
      } else if (reconcileEndpoints(service, pods, endpoints)) {
        worker.endpointsTimer ??= this.options.clock.setTimer(ENDPOINTS_DELAY_MS, () => {
          worker.endpointsTimer = undefined;
          worker.endpointsDue = true;
          if (!signal.aborted) this.wake(key, worker, signal);
        });
      }
      this.tellLostPorts(service, pods, worker);
    } else if (service && endpoints && service.spec?.type !== 'ExternalName' && isMirrored(endpoints)) {
      await this.carryOut(mirrorEndpoints(endpoints, existing), existing);
    } else {
      await this.carryOut({ create: [], update: [], delete: existing }, existing);
      // Somebody may write Endpoints before the Service that they are for: not to have one is not enough.
      if (!this.deleted.has(key)) return;
      await this.forgiving(() => this.options.client.delete(ENDPOINTS, { namespace, name }));
      this.deleted.delete(key);
    }
  }

  private async carryOut(plan: SlicePlan, existing: readonly EndpointSlice[]): Promise<void> {
    const { client, clock } = this.options;
    const { index } = this;
    for (const slice of plan.update) {
      const since = clock.monotonic();
      index.setSlice(await client.update(ENDPOINTSLICES, slice));
      const before = existing.find(({ metadata }) => metadata.name === slice.metadata.name);
      this.trace(slice, before, since);
    }
    for (const slice of plan.create) {
      const since = clock.monotonic();
      await this.forgiving(async () => {
        index.setSlice(await client.create(ENDPOINTSLICES, slice));
        this.trace(slice, undefined, since);
      });
    }
    for (const slice of plan.delete) {
      const { namespace, name = '' } = slice.metadata;
      await this.forgiving(() => client.delete(ENDPOINTSLICES, { namespace, name }));
      index.removeSlice(slice);
    }
  }

  private trace(slice: EndpointSlice, before: EndpointSlice | undefined, since: number): void {
    const { traces } = this.options;
    if (!traces) return;
    const service = slice.metadata.ownerReferences?.[0]?.name;
    for (const podUID of newlyReady(slice, before)) traces.note({ podUID }, 'endpoint slice write', service, since);
  }

  private async writeEndpoints(endpoints: Endpoints): Promise<void> {
    const { client } = this.options;
    await this.forgiving(() =>
      endpoints.metadata.resourceVersion ? client.update(ENDPOINTS, endpoints) : client.create(ENDPOINTS, endpoints),
    );
  }

  /** What is gone, or in a namespace that goes, needs no more writes. */
  private async forgiving(write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
    } catch (error) {
      const going = error instanceof ApiStatusError && error.details?.causes?.[0]?.reason === 'NamespaceTerminating';
      if (!going && !hasReason(error, 'NotFound')) throw error;
    }
  }

  private tellLostPorts(service: Service, pods: readonly Pod[], worker: Worker): void {
    const lost = lostPorts(service, pods);
    for (const port of lost) {
      if (worker.toldPorts.has(port)) continue;
      const message = `no selected pod has a container port named ${JSON.stringify(port)}: what is sent to it goes nowhere`;
      this.options.events.record(referenceTo(SERVICES, service), 'Warning', 'TargetPortNotFound', message);
    }
    worker.toldPorts = new Set(lost);
  }
}

function newWorker(): Worker {
  return {
    triggerTimes: new TriggerTimes(),
    toldPorts: new Set(),
    endpointsTime: undefined,
    endpointsTimer: undefined,
    endpointsDue: false,
    again: false,
  };
}
