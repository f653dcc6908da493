import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Container, Pod } from '../../src/api/generated/types.ts';
import { type ContainerConfig, ContainerState, type PodSandboxConfig } from '../../src/cri/generated/cri.ts';
import { fileMount, generateContainerConfig } from '../../src/kubelet/container/generate-container-config.ts';
import { generateSandboxConfig } from '../../src/kubelet/container/generate-sandbox-config.ts';
import { ENDING, IDLE, idlePod, SERVED_PATH, servingPod } from '../pods.ts';
import { Cannot, type Contender, type Starts } from './contender.ts';
import { LoneContainerd } from './lone-containerd.ts';

/** How often the naive way asks whether a container has ended, or a server answers. */
const POLL_MS = 2;

/** A pod's requests, ready to be sent. */
interface Prepared {
  readonly sandbox: PodSandboxConfig;
  readonly inits: readonly ContainerConfig[];
  readonly apps: readonly ContainerConfig[];
  readonly dirs: readonly string[];
}

/**
 * A pod made by bare CRI calls, one after the other: the floor that a kubelet is measured against. The requests are those that the
 * kubelet would send; they, and the files they name, are made before the clock starts.
 */
export class BareCri implements Contender {
  readonly name = 'bare CRI';
  readonly isForeign = false;
  readonly crowd = new Cannot('bare calls are made one after the other');
  readonly pids = new Cannot('bare calls have no agent');
  readonly starts: Starts = {
    chain: () => this.startPod(idlePod(5)),
    plain: () => this.startPod(idlePod()),
    ready: () => this.startPod(servingPod(), (sandboxId) => this.answers(sandboxId)),
    restart: () =>
      this.withContainer(ENDING, async (id, create) => {
        const exitedAt = await this.containerd!.times.exitOf(id);
        await this.runtime.startContainer(await create());
        return performance.now() - exitedAt;
      }),
    liveness: () =>
      this.withContainer(IDLE, async (id, create) => {
        const failedAt = performance.now();
        await this.runtime.stopContainer(id, 5);
        await this.runtime.startContainer(await create());
        return performance.now() - failedAt;
      }),
  };
  /**
   * The same calls, each as early as it can be made: a container is created while the one before it runs or ends, and starts when the
   * runtime tells of that end. Nobody is told anything: what is left is the runtime's own time.
   */
  readonly earliest: { readonly [start in keyof Starts]?: () => Promise<number> } = {
    chain: () => this.startOverlapped(idlePod(5)),
    liveness: () =>
      this.withContainer(IDLE, async (id, create) => {
        const failedAt = performance.now();
        const successor = create();
        const stopped = this.runtime.stopContainer(id, 5);
        const successorId = await successor;
        await this.containerd!.times.exitOf(id);
        await this.runtime.startContainer(successorId);
        const took = performance.now() - failedAt;
        await stopped;
        return took;
      }),
  };
  private readonly rootDir: string;
  private readonly registryMirror: string;
  private containerd: LoneContainerd | undefined;
  private serial = 0;

  constructor(rootDir: string, registryMirror: string) {
    this.rootDir = rootDir;
    this.registryMirror = registryMirror;
  }

  async start(): Promise<void> {
    this.containerd = await LoneContainerd.start(this.rootDir, this.registryMirror);
  }

  async stop(): Promise<void> {
    await this.containerd?.stop();
    this.containerd = undefined;
    await LoneContainerd.remove(this.rootDir);
  }

  private get runtime(): LoneContainerd['runtime'] {
    return this.containerd!.runtime;
  }

  /** Milliseconds for a sandbox, the init containers, each to its end, and containers that run, or are `ready`. */
  async startPod(pod: Pod, ready?: (sandboxId: string) => Promise<void>): Promise<number> {
    const prepared = this.prepare(pod);
    const startedAt = performance.now();
    const sandboxId = await this.runtime.runPodSandbox(prepared.sandbox, '');
    try {
      for (const config of prepared.inits) {
        const id = await this.startContainer(sandboxId, config, prepared.sandbox);
        while ((await this.runtime.containerStatus(id)).state !== ContainerState.CONTAINER_EXITED) await delay(POLL_MS);
      }
      for (const config of prepared.apps) await this.startContainer(sandboxId, config, prepared.sandbox);
      await ready?.(sandboxId);
      return performance.now() - startedAt;
    } finally {
      await this.remove(sandboxId, prepared);
    }
  }

  private async startOverlapped(pod: Pod): Promise<number> {
    const prepared = this.prepare(pod);
    const { times } = this.containerd!;
    const startedAt = performance.now();
    const sandboxId = await this.runtime.runPodSandbox(prepared.sandbox, '');
    try {
      const [first, ...others] = [...prepared.inits, ...prepared.apps];
      let created = this.runtime.createContainer(sandboxId, first!, prepared.sandbox);
      const starts: Promise<void>[] = [];
      for (const next of others) {
        const id = await created;
        starts.push(this.runtime.startContainer(id));
        created = this.runtime.createContainer(sandboxId, next, prepared.sandbox);
        await times.exitOf(id);
      }
      await this.runtime.startContainer(await created);
      const took = performance.now() - startedAt;
      await Promise.all(starts);
      return took;
    } finally {
      await this.remove(sandboxId, prepared);
    }
  }

  /**
   * What `work` says that it took.
   * @param work is given a container that was just started, and what creates its successor
   */
  private async withContainer(
    command: string[],
    work: (id: string, create: () => Promise<string>) => Promise<number>,
  ): Promise<number> {
    const prepared = this.prepare(idlePod());
    const sandboxId = await this.runtime.runPodSandbox(prepared.sandbox, '');
    const app = prepared.apps[0]!;
    const successor = { ...app, metadata: { name: app.metadata!.name, attempt: 1 } };
    try {
      const id = await this.startContainer(sandboxId, { ...app, command }, prepared.sandbox);
      return await work(id, () => this.runtime.createContainer(sandboxId, successor, prepared.sandbox));
    } finally {
      await this.remove(sandboxId, prepared);
    }
  }

  private async answers(sandboxId: string): Promise<void> {
    const { network } = await this.runtime.podSandboxStatus(sandboxId);
    const url = `http://${network!.ip}${SERVED_PATH}`;
    const ask = (): Promise<boolean> =>
      new Promise((resolve) => {
        get(url, { agent: false }, (response) => resolve(response.resume().statusCode === 200)).on('error', () =>
          resolve(false),
        );
      });
    while (!(await ask())) await delay(POLL_MS);
  }

  private async startContainer(sandboxId: string, config: ContainerConfig, sandbox: PodSandboxConfig): Promise<string> {
    const id = await this.runtime.createContainer(sandboxId, config, sandbox);
    await this.runtime.startContainer(id);
    return id;
  }

  private async remove(sandboxId: string, { dirs }: Prepared): Promise<void> {
    await this.runtime.stopPodSandbox(sandboxId);
    await this.runtime.removePodSandbox(sandboxId);
    for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
  }

  private prepare(template: Pod): Prepared {
    const { layout } = this.containerd!;
    const uid = `bench-${process.pid}-${this.serial++}`;
    const pod: Pod = { ...template, metadata: { ...template.metadata, name: uid, namespace: 'bench', uid } };
    const settings = {
      ...{ nodeName: 'bench', hostIP: '127.0.0.1', resolvConf: '/etc/resolv.conf', clusterDNS: [] },
      ...{ podsDir: layout.podsDir, podLogsDir: layout.podLogsDir, cgroupParent: layout.cgroupParent },
      ...{ clusterDomain: 'cluster.local', memoryCapacityBytes: 2 ** 34 },
    };
    const sandbox = generateSandboxConfig(pod, 0, settings, { servers: ['127.0.0.1'], searches: [], options: [] });
    const files = join(layout.rootDir, 'bench', uid);
    const file = (name: string): string => {
      const path = join(files, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, '');
      return path;
    };
    const config = (container: Container): ContainerConfig => {
      mkdirSync(join(sandbox.logDirectory, container.name), { recursive: true });
      const mounts = [
        fileMount('/etc/hosts', file('hosts')),
        fileMount('/dev/termination-log', file(`${container.name}/message`)),
      ];
      const { memoryCapacityBytes } = settings;
      const env = new Map([['PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']]);
      const imageRef = container.image!;
      return generateContainerConfig({ pod, container, restartCount: 0, imageRef, env, mounts, memoryCapacityBytes });
    };
    return {
      sandbox,
      inits: (pod.spec.initContainers ?? []).map(config),
      apps: pod.spec.containers.map(config),
      dirs: [files, sandbox.logDirectory],
    };
  }
}
