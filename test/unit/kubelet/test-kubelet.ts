import { parse } from 'yaml';
import { applyDefaults } from '../../../src/api/defaults.ts';
import type { Container, Event, Pod, PodStatus } from '../../../src/api/generated/types.ts';
import { podRow } from '../../../src/api/print-pod.ts';
import { computeQOSClass } from '../../../src/api/qos.ts';
import { EVENTS, PODS } from '../../../src/api/resources.ts';
import { FakeKubeClient } from '../../../src/client/fake-kube-client.ts';
import { FakeRuntime, type FakeRuntimeOptions } from '../../../src/cri/fake-runtime-service.ts';
import { ContainerConfig, NamespaceMode, PodSandboxConfig } from '../../../src/cri/generated/cri.ts';
import { ApiEventRecorder } from '../../../src/kubelet/events/event-recorder.ts';
import { HookError } from '../../../src/kubelet/hooks/hook-runner.ts';
import { CriImageManager } from '../../../src/kubelet/images/image-manager.ts';
import { Kubelet } from '../../../src/kubelet/kubelet.ts';
import type {
  ContainerConfigFactory,
  HookRunner,
  HostPortManager,
  MountedVolumes,
  ProbeManager,
  ProbeRecord,
  ProbeType,
  ProbeVerdict,
  VolumeManager,
} from '../../../src/kubelet/ports.ts';
import type { Prober } from '../../../src/kubelet/prober/attempt.ts';
import { DefaultProbeManager } from '../../../src/kubelet/prober/probe-manager.ts';
import { LABELS, type PodRuntimeStatus, type SandboxRuntimeStatus } from '../../../src/kubelet/runtime-status.ts';
import { FakeClock } from '../../../src/lib/fake-clock.ts';
import { silentLogger } from '../../../src/lib/logger.ts';
import { PodTraces } from '../../../src/lib/pod-traces.ts';

const SETTINGS = {
  nodeName: 'node',
  hostIP: '192.0.2.1',
  podsDir: '/pods',
  podLogsDir: '/logs',
  cgroupParent: '/kubelette',
  resolvConf: '/etc/resolv.conf',
  clusterDNS: [],
  clusterDomain: 'cluster.local',
  memoryCapacityBytes: 1 << 30,
};

const FACTS = {
  nodeName: 'node',
  hostIP: '192.0.2.1',
  hostname: 'node',
  cpus: 2,
  memoryBytes: 1 << 30,
  ephemeralStorageBytes: 1 << 30,
  maxPods: 110,
  kubeletPort: 10250,
  kubeletVersion: 'v1.36.2',
  machineID: 'm',
  systemUUID: 's',
  bootID: 'b',
  kernelVersion: 'k',
  osImage: 'o',
  hasAppArmor: false,
  architecture: 'amd64',
};

/** Probes whose verdicts the test gives. */
export class ScriptedProbes implements ProbeManager {
  readonly synced = new Set<string>();
  private readonly verdicts = new Map<string, ProbeVerdict>();
  private readonly recordList: ProbeRecord[] = [];
  /** The container that an id belongs to, as it was last synced. */
  private readonly specs = new Map<string, Container>();
  onVerdict: (podUID: string) => void = () => {};

  syncPod(pod: Pod, status: PodRuntimeStatus): void {
    this.synced.add(status.podUID);
    for (const c of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]) {
      const instance = status.containers.find((s) => s.name === c.name);
      if (instance) this.specs.set(instance.id, c);
    }
  }

  removePod(podUID: string): void {
    this.synced.delete(podUID);
  }

  verdict(_podUID: string, containerId: string, type: ProbeType): ProbeVerdict {
    const given = this.verdicts.get(`${containerId} ${type}`);
    if (given) return given;
    const hasProbe = this.specs.get(containerId)?.[`${type}Probe`] !== undefined;
    return hasProbe ? 'unknown' : 'success';
  }

  records(): ProbeRecord[] {
    return this.recordList;
  }

  /** A probe has come to a verdict. */
  decide(podUID: string, containerId: string, type: ProbeType, verdict: ProbeVerdict): void {
    this.verdicts.set(`${containerId} ${type}`, verdict);
    this.onVerdict(podUID);
  }
}

/** Configs with what adoption needs, and no more. */
const plainConfigs = (serviceEnv: ReadonlyMap<string, string>): ContainerConfigFactory => ({
  environment: async () => serviceEnv,
  writeHosts() {},
  async sandboxConfig(pod, attempt) {
    const { name = '', namespace = '', uid = '' } = pod.metadata;
    return PodSandboxConfig.fromPartial({
      metadata: { name, namespace, uid, attempt },
      logDirectory: `/logs/${namespace}_${name}_${uid}`,
      labels: { [LABELS.podName]: name, [LABELS.podNamespace]: namespace, [LABELS.podUID]: uid },
      linux: {
        securityContext: {
          namespaceOptions: { network: pod.spec.hostNetwork ? NamespaceMode.NODE : NamespaceMode.POD },
        },
      },
    });
  },
  async containerConfig({ pod, container, restartCount }) {
    for (const { configMapRef } of container.envFrom ?? []) {
      if (!configMapRef) continue;
      return { ok: false, reason: 'CreateContainerConfigError', message: `configmap "${configMapRef.name}" not found` };
    }
    return {
      ok: true,
      value: ContainerConfig.fromPartial({
        metadata: { name: container.name, attempt: restartCount },
        image: { image: container.image ?? '' },
        envs: [...serviceEnv].map(([key, value]) => ({ key, value })),
        labels: {
          [LABELS.podName]: pod.metadata.name ?? '',
          [LABELS.podNamespace]: pod.metadata.namespace ?? '',
          [LABELS.podUID]: pod.metadata.uid ?? '',
          [LABELS.containerName]: container.name,
        },
        logPath: `${container.name}/${restartCount}.log`,
      }),
    };
  },
});

/** emptyDir works; a secret is never there. */
class FakeVolumes implements VolumeManager {
  readonly tornDown: string[] = [];

  async setUp(pod: Pod): ReturnType<VolumeManager['setUp']> {
    const failures = (pod.spec.volumes ?? [])
      .filter((v) => v.secret)
      .map((v) => ({
        volume: v.name,
        message: `MountVolume.SetUp failed for volume "${v.name}" : secret "${v.secret?.secretName}" not found`,
      }));
    if (failures.length > 0) return { ok: false, failures };
    const volumes: MountedVolumes = new Map(
      (pod.spec.volumes ?? []).map((v) => [v.name, { hostPath: `/v/${v.name}`, readOnly: false }]),
    );
    return { ok: true, volumes };
  }

  async tearDown(podUID: string): Promise<void> {
    this.tornDown.push(podUID);
  }

  async listPodUIDs(): Promise<string[]> {
    return [];
  }
}

/** Host ports that can be set unless somebody else has them. */
class FakeHostPorts implements HostPortManager {
  isTaken = false;
  /** Addresses of the sandboxes that have them. */
  readonly at: string[] = [];

  async set(_pod: Pod, { ips }: SandboxRuntimeStatus): Promise<void> {
    if (this.isTaken) throw new Error('host port tcp 80 is in use by the pod with UID other');
    this.at.push(...ips);
  }

  async remove(): Promise<void> {}
  async retain(): Promise<void> {}
}

/** Exec hooks: `false` fails, `sleep N` takes N seconds. */
function fakeHooks(clock: FakeClock, ran: string[]): HookRunner {
  return {
    async run(pod, container, _id, hook, _podIP, signal) {
      ran.push(`${hook} ${container.name}`);
      const command = container.lifecycle?.[hook]?.exec?.command ?? [];
      if (command[0] === 'sleep') await clock.sleep(Number(command[1]) * 1000, signal);
      if (command[0] !== 'false') return;
      const { name, namespace, uid } = pod.metadata;
      throw new HookError(
        hook,
        `Exec lifecycle hook ([${command}]) for Container "${container.name}" in Pod "${name}_${namespace}(${uid})" failed - error: command '${command}' exited with 1: , message: ""`,
      );
    },
  };
}

/** A whole kubelet on the fake runtime, the fake clock and an API server in memory. */
export class TestKubelet {
  readonly clock = new FakeClock();
  readonly fake: FakeRuntime;
  readonly client: FakeKubeClient;
  readonly probes = new ScriptedProbes();
  readonly volumes = new FakeVolumes();
  readonly hostPorts = new FakeHostPorts();
  readonly cgroupsSet: string[] = [];
  readonly hooksRan: string[] = [];
  readonly unrouted: string[] = [];
  readonly messages = new Map<string, string>();
  /** What every container's environment says of Services. */
  readonly serviceEnv = new Map<string, string>();
  traces: PodTraces;
  kubelet: Kubelet;
  private recorder: ApiEventRecorder;

  private readonly prober: Prober | undefined;

  /** @param options.prober makes the attempts of real probes; without it the test gives verdicts */
  constructor(options: Partial<FakeRuntimeOptions> & { prober?: (t: TestKubelet) => Prober } = {}) {
    this.fake = new FakeRuntime({ clock: this.clock, ...options });
    this.prober = options.prober?.(this);
    this.client = new FakeKubeClient(this.clock);
    this.recorder = this.newRecorder();
    this.traces = new PodTraces(this.clock);
    this.kubelet = this.newKubelet();
  }

  private newRecorder(): ApiEventRecorder {
    const { clock, client } = this;
    return new ApiEventRecorder({ client, clock, logger: silentLogger, nodeName: 'node' });
  }

  private newKubelet(): Kubelet {
    const { clock, client, fake, volumes, recorder, prober, traces } = this;
    const logger = silentLogger;
    const onVerdict = (uid: string): void => kubelet.wake(uid);
    const probes = prober
      ? new DefaultProbeManager({
          clock,
          recorder,
          logger,
          traces,
          hostIP: SETTINGS.hostIP,
          onVerdict,
          prober,
        })
      : this.probes;
    const kubelet = new Kubelet({
      client,
      runtime: fake.runtime,
      images: new CriImageManager({ images: fake.images, clock, recorder }),
      probes,
      hooks: fakeHooks(clock, this.hooksRan),
      volumes,
      configs: plainConfigs(this.serviceEnv),
      cgroups: {
        set: (pod) => this.cgroupsSet.push(pod.metadata.name ?? ''),
        balance() {},
      },
      hostPorts: this.hostPorts,
      gc: { async collect() {}, async removePod() {}, async retain() {} },
      recorder,
      traces,
      clock,
      logger: silentLogger,
      settings: SETTINGS,
      node: FACTS,
      beforeStop: async (pod) => {
        this.unrouted.push(pod.metadata.name ?? '');
      },
      readMessage: async (status) => this.messages.get(status.metadata?.name ?? '') ?? '',
    });
    this.probes.onVerdict = onVerdict;
    return kubelet;
  }

  get eventRecorder(): ApiEventRecorder {
    return this.recorder;
  }

  async start(): Promise<void> {
    const started = this.kubelet.start();
    await this.clock.advance(0);
    await started;
    await this.settle();
  }

  /** As after kill -9 and a new start: everything in memory is gone. */
  async restart(): Promise<void> {
    this.kubelet.stop();
    await this.settle();
    this.recorder = this.newRecorder();
    this.traces = new PodTraces(this.clock);
    this.kubelet = this.newKubelet();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kubelet.stop();
    await this.settle();
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 10; i++) await this.clock.advance(0);
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.settle();
  }

  /** Creates the pod as the API server would have it, bound to the node. */
  async apply(manifest: string | Pod): Promise<Pod> {
    const pod = (typeof manifest === 'string' ? parse(manifest) : structuredClone(manifest)) as Pod;
    pod.metadata.namespace ??= 'NS';
    pod.metadata.uid ??= 'UID';
    applyDefaults(PODS, pod);
    pod.spec.nodeName = 'node';
    pod.status = { phase: 'Pending', qosClass: computeQOSClass(pod) };
    const created = await this.client.create(PODS, pod);
    await this.settle();
    return created;
  }

  pod(name = 'p'): Pod {
    const pod = this.client.all(PODS).find((p) => p.metadata.name === name);
    if (!pod) throw new Error(`no pod ${name}`);
    return pod;
  }

  exists(name = 'p'): boolean {
    return this.client.all(PODS).some((p) => p.metadata.name === name);
  }

  get status(): PodStatus {
    return this.pod().status ?? {};
  }

  /** As `kubectl get pods` shows it: `1/1 Running 0`. */
  row(name = 'p'): string {
    if (!this.exists(name)) return '(gone)';
    const { ready, status, restarts } = podRow(this.pod(name), this.clock.now());
    return `${ready} ${status} ${restarts.split(' ')[0]}`;
  }

  /** All rows that a watcher of `kubectl get pods` would have seen, repeats left out. */
  rows(name = 'p'): string[] {
    const rows: string[] = [];
    for (const write of this.client.writes) {
      if (write.resource !== 'pods' || write.name !== name) continue;
      const { ready, status, restarts } = podRow(write.object as Pod, this.clock.now());
      const row =
        write.verb === 'delete' && !this.isLast(write.object) ? '' : `${ready} ${status} ${restarts.split(' ')[0]}`;
      if (row && rows.at(-1) !== row) rows.push(row);
    }
    return rows;
  }

  private isLast(object: { metadata: { deletionTimestamp?: string } }): boolean {
    return object.metadata.deletionTimestamp !== undefined;
  }

  /** `REASON MESSAGE xCOUNT field`, in the order in which they began. */
  events(): string[] {
    return this.client
      .all(EVENTS)
      .map((e: Event) => `${e.type} ${e.reason} ${e.message}|${e.count}|${e.involvedObject.fieldPath ?? ''}`);
  }

  /** Names of the CRI calls that change something, with whom they were about. */
  calls(): string[] {
    const changing = new Set([
      'runPodSandbox',
      'stopPodSandbox',
      'removePodSandbox',
      'createContainer',
      'startContainer',
      'stopContainer',
      'removeContainer',
    ]);
    return this.fake.calls.filter((c) => changing.has(c.method)).map((c) => `${c.method} ${c.target}`);
  }
}
