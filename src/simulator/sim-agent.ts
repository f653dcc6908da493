import { startControllers } from '../agent/start-controllers.ts';
import type { KubeObject } from '../api/resources.ts';
import { LocalKubeClient } from '../apiserver/local-kube-client.ts';
import { ClusterAdmission } from '../apiserver/registry/cluster-admission.ts';
import { EventExpiry } from '../apiserver/registry/event-expiry.ts';
import { Registry } from '../apiserver/registry/registry.ts';
import { ResourceRequests } from '../apiserver/registry/resource-requests.ts';
import { STORED_RESOURCES } from '../apiserver/registry/resource-table.ts';
import type { ObjectDisk } from '../apiserver/storage/object-disk.ts';
import { ObjectStore } from '../apiserver/storage/object-store.ts';
import type { KubeClient } from '../client/kube-client.ts';
import type { RuntimeService } from '../cri/runtime-service.ts';
import { ApiEventRecorder } from '../kubelet/events/event-recorder.ts';
import { DefaultHookRunner } from '../kubelet/hooks/hook-runner.ts';
import { CriImageManager } from '../kubelet/images/image-manager.ts';
import { Kubelet } from '../kubelet/kubelet.ts';
import { DefaultProbeManager } from '../kubelet/prober/probe-manager.ts';
import { assert } from '../lib/errors.ts';
import { parseCidr } from '../lib/ipv4.ts';
import type { Logger } from '../lib/logger.ts';
import { PodTraces } from '../lib/pod-traces.ts';
import type { Random } from '../lib/random.ts';
import type { FactBody } from './fact.ts';
import { FaultyClient } from './faulty-client.ts';
import { simHooks } from './sim-hooks.ts';
import { simHostParts } from './sim-host-parts.ts';
import type { SimNode } from './sim-node.ts';
import { simProber } from './sim-prober.ts';
import type { SimProcess } from './sim-process.ts';

export interface SimAgentOptions {
  readonly process: SimProcess;
  readonly disk: ObjectDisk;
  readonly nodes: readonly SimNode[];
  readonly random: Random;
  /** How long calls of our own process to the API take. */
  readonly apiLatencyMs: () => number;
  readonly emit: (fact: FactBody, node?: string) => void;
}

const SERVICE_CIDR = '10.96.0.0/16';
const MEMORY_BYTES = 8 * 2 ** 30;

/** One life of the agent: the API server, the controllers and a kubelet for each node; the production code, put together. */
export class SimAgent {
  /** For everybody else than the agent itself. */
  readonly client: KubeClient;
  readonly connection: FaultyClient;
  readonly process: SimProcess;
  private readonly options: SimAgentOptions;
  private readonly logger: Logger;
  private readonly traces: PodTraces;
  private readonly ownClient: KubeClient;
  private readonly stopping = new AbortController();
  private readonly controllers = new AsyncDisposableStack();

  /** Starts at once. */
  constructor(options: SimAgentOptions) {
    this.options = options;
    const { process, random, emit } = options;
    const { clock } = process;
    this.process = process;
    this.logger = factLogger(options);
    this.traces = new PodTraces(clock);
    const store = new ObjectStore(options.disk, clock);
    this.announce(store);
    const serviceRange = parseCidr(SERVICE_CIDR);
    assert(serviceRange, `${SERVICE_CIDR} is a network`);
    let admission: ClusterAdmission | undefined;
    const registry = new Registry(store, clock, random, (self) => {
      const portsInUse = (): ReadonlySet<number> => new Set();
      admission = new ClusterAdmission(self, {
        caCertificate: 'CA of the simulation',
        serviceRange,
        random,
        portsInUse,
      });
      return admission;
    });
    assert(admission, 'the registry makes its admission');
    admission.bootstrap();
    this.client = new LocalKubeClient(new ResourceRequests(registry, admission, clock, this.traces));
    new EventExpiry(registry, clock).start();
    this.connection = new FaultyClient({ client: this.client, clock, latencyMs: options.apiLatencyMs, emit });
    this.ownClient = process.gate(this.connection.client);
    const { ownClient: client, logger } = this;
    startControllers(
      { client, nodeName: options.nodes[0]!.name, clock, logger, traces: this.traces },
      this.controllers,
    );
    for (const node of options.nodes) void this.startKubelet(node);
  }

  /**
   * Lets go of everything, long after its death: signals that somebody listens to are kept by the engine for ever, and with them
   * the whole world.
   */
  dispose(): void {
    this.stopping.abort();
    void this.controllers.disposeAsync().catch(() => {});
  }

  private announce(store: ObjectStore): void {
    const { emit } = this.options;
    const objects = new Map<string, KubeObject>();
    for (const { collection } of STORED_RESOURCES) {
      for (const { key, object } of store.scan(collection)) objects.set(`${collection} ${key}`, object);
      store.subscribe(collection, ({ revision, before, after, deleted: removed }) =>
        emit({
          what: 'written',
          collection,
          key: after.key,
          revision,
          before: before?.object,
          object: after.object,
          removed,
        }),
      );
    }
    emit({ what: 'loaded', revision: store.revision, objects });
  }

  private async startKubelet(node: SimNode): Promise<void> {
    const { process } = this.options;
    const { clock } = process;
    const { ownClient: client, logger, traces } = this;
    const runtime = runtimeOf(process, node);
    const settings = {
      nodeName: node.name,
      hostIP: node.ip,
      podsDir: '/sim/pods',
      podLogsDir: '/sim/logs',
      cgroupParent: '/sim',
      resolvConf: '/sim/resolv.conf',
      clusterDNS: [],
      clusterDomain: 'cluster.local',
      memoryCapacityBytes: MEMORY_BYTES,
    };
    const recorder = new ApiEventRecorder({ client, clock, logger, nodeName: node.name });
    const kubelet: Kubelet = new Kubelet({
      client,
      runtime,
      images: new CriImageManager({ images: process.gate(node.runtime.images), clock, recorder }),
      probes: new DefaultProbeManager({
        clock,
        recorder,
        logger,
        traces,
        hostIP: node.ip,
        onVerdict: (podUID) => kubelet.wake(podUID),
        prober: simProber({
          clock,
          runtime,
          ask: (id, probe) => node.ask(id, probe),
          noteCheck: (command, probe) => node.noteCheck(command, probe),
        }),
      }),
      hooks: simHooks(new DefaultHookRunner({ runtime, clock })),
      ...gateAll(process, simHostParts({ node, client, runtime, clock, settings })),
      recorder,
      traces,
      clock,
      logger,
      settings,
      node: {
        nodeName: node.name,
        hostIP: node.ip,
        hostname: node.name,
        cpus: 4,
        memoryBytes: MEMORY_BYTES,
        ephemeralStorageBytes: 100 * 2 ** 30,
        maxPods: 110,
        kubeletPort: 10250,
        kubeletVersion: 'v1.36.2',
        machineID: node.name,
        systemUUID: node.name,
        bootID: node.name,
        kernelVersion: '6.1.0',
        osImage: 'Simulated',
        hasAppArmor: true,
        architecture: 'amd64',
      },
      readMessage: async () => '',
    });
    await kubelet.start(this.stopping.signal);
  }
}

/** Its stream of events ends with the process. */
function runtimeOf(process: SimProcess, node: SimNode): RuntimeService {
  const { runtime } = node.runtime;
  const gated = process.gate<RuntimeService>(runtime);
  return new Proxy(gated, {
    get: (target, name) =>
      name === 'events'
        ? (signal: AbortSignal) =>
            process.pass('events', () => runtime.events(AbortSignal.any([signal, process.deathSignal])))
        : Reflect.get(target, name),
  });
}

function gateAll<T extends object>(process: SimProcess, parts: T): T {
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, process.gate(part as object)])) as T;
}

/** Warnings and errors become facts. */
function factLogger({ emit, process }: SimAgentOptions): Logger {
  const log =
    (level: 'warn' | 'error') =>
    (fields: object, message: string): void => {
      if (process.alive) emit({ what: 'logged', level, message, fields: JSON.stringify(fields) });
    };
  const logger: Logger = { debug() {}, info() {}, warn: log('warn'), error: log('error'), child: () => logger };
  return logger;
}
