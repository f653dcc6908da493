import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ContainerConfig, ContainerState, PodSandboxConfig } from '../src/cri/generated/cri.ts';
import type { RuntimeService } from '../src/cri/runtime-service.ts';
import type { InstanceLayout } from '../src/lib/instance.ts';

/** How often the naive way asks whether a container has ended. */
const POLL_MS = 2;

/** A pod made by bare CRI calls, one after the other: the floor that a kubelet is measured against. */
export class BareCri {
  private readonly runtime: RuntimeService;
  private readonly layout: InstanceLayout;
  private serial = 0;

  constructor(runtime: RuntimeService, layout: InstanceLayout) {
    this.runtime = runtime;
    this.layout = layout;
  }

  /** Milliseconds for a sandbox, `inits` containers that run `true` to their end, and an app that runs. */
  async podStart(inits: number, image: string): Promise<number> {
    const sandboxConfig = this.sandbox();
    const startedAt = performance.now();
    const sandboxId = await this.runtime.runPodSandbox(sandboxConfig, '');
    try {
      for (let i = 0; i < inits; i++) {
        const id = await this.container(sandboxId, sandboxConfig, `init-${i}`, ['true'], image);
        while ((await this.runtime.containerStatus(id)).state !== ContainerState.CONTAINER_EXITED) await delay(POLL_MS);
      }
      await this.container(sandboxId, sandboxConfig, 'app', ['sleep', '600'], image);
      return performance.now() - startedAt;
    } finally {
      await this.runtime.stopPodSandbox(sandboxId);
      await this.runtime.removePodSandbox(sandboxId);
    }
  }

  /** Milliseconds to create and start one more container in a sandbox that runs. */
  async containerStart(image: string): Promise<number> {
    const sandboxConfig = this.sandbox();
    const sandboxId = await this.runtime.runPodSandbox(sandboxConfig, '');
    try {
      const startedAt = performance.now();
      await this.container(sandboxId, sandboxConfig, 'app', ['sleep', '600'], image);
      return performance.now() - startedAt;
    } finally {
      await this.runtime.stopPodSandbox(sandboxId);
      await this.runtime.removePodSandbox(sandboxId);
    }
  }

  private async container(
    sandboxId: string,
    sandboxConfig: PodSandboxConfig,
    name: string,
    command: string[],
    image: string,
  ): Promise<string> {
    const config = ContainerConfig.fromPartial({
      metadata: { name, attempt: 0 },
      image: { image },
      command,
      logPath: `${name}.log`,
    });
    const id = await this.runtime.createContainer(sandboxId, config, sandboxConfig);
    await this.runtime.startContainer(id);
    return id;
  }

  private sandbox(): PodSandboxConfig {
    const uid = `bench-${process.pid}-${this.serial++}`;
    const logDirectory = join(this.layout.podLogsDir, uid);
    mkdirSync(logDirectory, { recursive: true });
    return PodSandboxConfig.fromPartial({
      metadata: { name: uid, uid, namespace: 'bench', attempt: 0 },
      hostname: uid,
      logDirectory,
      linux: { cgroupParent: `${this.layout.cgroupParent}/${uid}` },
    });
  }
}
