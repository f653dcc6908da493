import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pod } from '../../src/api/generated/types.ts';
import { ContainerState, PodSandboxState } from '../../src/cri/generated/cri.ts';
import { idlePod, isReady, restartingPod, servingPod, watchedPod } from '../pods.ts';
import type { Contender, Starts } from './contender.ts';
import { Daemon } from './daemon.ts';
import { HealthServer } from './health-server.ts';
import { LoneContainerd } from './lone-containerd.ts';

/** How often we ask for what no event tells. It costs the kubelet something, so not more often than it has to be. */
const READY_POLL_MS = 20;
const CROWD_POLL_MS = 200;
const RUNTIME_POLL_MS = 50;

/**
 * Kubernetes' own kubelet in standalone mode: static pods from files, on a containerd and a network as kubelette has them. What is
 * timed is what containerd tells, which is a little before the kubelet itself knows; to Ready is what its `/pods` says.
 */
export class Kubelet implements Contender {
  readonly name = 'kubelet';
  readonly isForeign = true;
  readonly starts: Starts = {
    chain: () => this.untilRunning(idlePod(5)),
    plain: () => this.untilRunning(idlePod()),
    ready: () =>
      this.withPod(servingPod(), async (startedAt) => {
        while (!(await this.allReady(1))) await delay(READY_POLL_MS);
        return performance.now() - startedAt;
      }),
    restart: () =>
      this.withPod(restartingPod(), async (startedAt) => {
        const exit = await this.times.next('containerExited', startedAt);
        return (await this.times.next('containerStarted', exit.at)).at - exit.at;
      }),
    liveness: () =>
      this.withPod(watchedPod(this.health!.port, '/'), async () => {
        await this.health!.answered('/');
        const failedAt = await this.health!.failOnce('/');
        return (await this.times.next('containerStarted', failedAt)).at - failedAt;
      }),
  };
  readonly pids = (): number[] => [this.daemon!.pid];
  private readonly program: string;
  private readonly rootDir: string;
  private readonly registryMirror: string;
  private readonly manifests: string;
  private containerd: LoneContainerd | undefined;
  private health: HealthServer | undefined;
  private daemon: Daemon | undefined;
  private podsUrl = '';

  constructor(program: string, rootDir: string, registryMirror: string) {
    this.program = program;
    this.rootDir = rootDir;
    this.registryMirror = registryMirror;
    this.manifests = join(rootDir, 'manifests');
  }

  async start(): Promise<void> {
    this.containerd = await LoneContainerd.start(this.rootDir, this.registryMirror);
    const { layout } = this.containerd;
    mkdirSync(this.manifests);
    this.health = new HealthServer();
    await this.health.start();
    const [port, readOnlyPort] = [await freePort(), await freePort()];
    const config = join(this.rootDir, 'kubelet.json');
    writeFileSync(
      config,
      JSON.stringify({
        apiVersion: 'kubelet.config.k8s.io/v1beta1',
        kind: 'KubeletConfiguration',
        authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
        authorization: { mode: 'AlwaysAllow' },
        ...{ address: '127.0.0.1', port, readOnlyPort, healthzPort: 0 },
        ...{ cgroupDriver: 'cgroupfs', cgroupRoot: layout.cgroupParent, failCgroupV1: false, failSwapOn: false },
        containerRuntimeEndpoint: `unix://${layout.containerd.socket}`,
        staticPodPath: this.manifests,
        podLogsDir: layout.podLogsDir,
        // A disk that is nearly full is no concern of ours.
        evictionHard: { 'memory.available': '1Mi' },
        makeIPTablesUtilChains: false,
      }),
    );
    // It mounts this directory on itself; what is mounted there is removed with the containerd.
    const args = ['--config', config, '--root-dir', join(layout.podsDir, 'kubelet'), '--hostname-override', 'bench'];
    args.push('--cert-dir', join(this.rootDir, 'kubelet-pki'));
    this.podsUrl = `http://127.0.0.1:${readOnlyPort}/pods`;
    this.daemon = await Daemon.start(this.program, args, join(this.rootDir, 'kubelet.log'), () => this.allReady(0));
  }

  async stop(): Promise<void> {
    await this.daemon?.stop();
    this.daemon = undefined;
    this.health?.close();
    this.health = undefined;
    await this.containerd?.stop();
    this.containerd = undefined;
    await LoneContainerd.remove(this.rootDir);
  }

  readonly crowd = async (count: number): Promise<number> => {
    const startedAt = performance.now();
    for (let i = 0; i < count; i++) this.accept(servingPod());
    while (!(await this.allReady(count))) await delay(CROWD_POLL_MS);
    return performance.now() - startedAt;
  };

  private get times(): LoneContainerd['times'] {
    return this.containerd!.times;
  }

  /** Lays the manifest where the kubelet looks, whole at once. Returns its path. */
  private accept(pod: Pod): string {
    const path = join(this.manifests, `${pod.metadata.name}.json`);
    const draft = join(this.rootDir, 'draft.json');
    writeFileSync(draft, JSON.stringify(pod));
    renameSync(draft, path);
    return path;
  }

  /** The sample that `measure` makes of a pod, and then of the pod nothing. */
  private async withPod(pod: Pod, measure: (startedAt: number) => Promise<number>): Promise<number> {
    const startedAt = performance.now();
    const path = this.accept(pod);
    try {
      return await measure(startedAt);
    } finally {
      rmSync(path);
      const state = { state: PodSandboxState.SANDBOX_READY };
      while ((await this.containerd!.runtime.listPodSandbox({ state })).length > 0) await delay(RUNTIME_POLL_MS);
      while ((await this.pods()).length > 0) await delay(RUNTIME_POLL_MS);
    }
  }

  private untilRunning(pod: Pod): Promise<number> {
    const labelSelector = { 'io.kubernetes.container.name': pod.spec.containers[0]!.name };
    const state = { state: ContainerState.CONTAINER_RUNNING };
    return this.withPod(pod, async (startedAt) => {
      for (;;) {
        const [app] = await this.containerd!.runtime.listContainers({ labelSelector, state });
        const at = app && this.times.startOf(app.id);
        if (at !== undefined) return at - startedAt;
        await delay(RUNTIME_POLL_MS);
      }
    });
  }

  private async allReady(count: number): Promise<boolean> {
    return (await this.pods()).filter(isReady).length >= count;
  }

  private async pods(): Promise<Pod[]> {
    const response = await fetch(this.podsUrl);
    const { items } = (await response.json()) as { items: Pod[] | null };
    return items ?? [];
  }
}

/** A TCP port of loopback that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
