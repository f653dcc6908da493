import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Container, Pod } from '../src/api/generated/types.ts';
import { type ContainerConfig, ContainerState, type PodSandboxConfig } from '../src/cri/generated/cri.ts';
import type { RuntimeService } from '../src/cri/runtime-service.ts';
import { fileMount, generateContainerConfig } from '../src/kubelet/container/generate-container-config.ts';
import { generateSandboxConfig } from '../src/kubelet/container/generate-sandbox-config.ts';
import type { InstanceLayout } from '../src/lib/instance.ts';

/** How often the naive way asks whether a container has ended. */
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
export class BareCri {
  private readonly runtime: RuntimeService;
  private readonly layout: InstanceLayout;
  private serial = 0;

  constructor(runtime: RuntimeService, layout: InstanceLayout) {
    this.runtime = runtime;
    this.layout = layout;
  }

  /** Milliseconds for a sandbox, the init containers, each to its end, and containers that run. Removes the pod before it resolves. */
  async startPod(pod: Pod): Promise<number> {
    const prepared = this.prepare(pod);
    const startedAt = performance.now();
    const sandboxId = await this.runtime.runPodSandbox(prepared.sandbox, '');
    try {
      for (const config of prepared.inits) {
        const id = await this.startContainer(sandboxId, config, prepared.sandbox);
        while ((await this.runtime.containerStatus(id)).state !== ContainerState.CONTAINER_EXITED) await delay(POLL_MS);
      }
      for (const config of prepared.apps) await this.startContainer(sandboxId, config, prepared.sandbox);
      return performance.now() - startedAt;
    } finally {
      await this.remove(sandboxId, prepared);
    }
  }

  /** Milliseconds to create and start the pod's first container, in a sandbox that runs. Removes the pod before it resolves. */
  async startContainerOf(pod: Pod): Promise<number> {
    const prepared = this.prepare(pod);
    const sandboxId = await this.runtime.runPodSandbox(prepared.sandbox, '');
    try {
      const startedAt = performance.now();
      await this.startContainer(sandboxId, prepared.apps[0]!, prepared.sandbox);
      return performance.now() - startedAt;
    } finally {
      await this.remove(sandboxId, prepared);
    }
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
    const { layout } = this;
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
