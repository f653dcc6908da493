import { mkdirSync, rmSync } from 'node:fs';
import { removeHostState } from '../../src/agent/stop-instance.ts';
import { connectRuntime, type RuntimeConnection } from '../../src/cri/cri-client.ts';
import { ManagedContainerd } from '../../src/cri/managed-containerd.ts';
import { resolvePodCIDR } from '../../src/kubelet/network/pod-cidr.ts';
import { PodNetwork } from '../../src/kubelet/network/pod-network.ts';
import { resolveServiceCIDR } from '../../src/kubelet/network/service-cidr.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { type InstanceLayout, instanceLayout } from '../../src/lib/instance.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { IMAGE } from '../pods.ts';
import { TaskTimes } from './task-times.ts';

const clock = new SystemClock();

/** The containerd, configuration and pod network that an agent makes, without the agent. */
export class LoneContainerd {
  readonly layout: InstanceLayout;
  readonly times: TaskTimes;
  private readonly connection: RuntimeConnection;

  private constructor(layout: InstanceLayout, connection: RuntimeConnection) {
    this.layout = layout;
    this.connection = connection;
    this.times = new TaskTimes(connection.runtime);
  }

  /** Resolves once it answers and has the image. */
  static async start(rootDir: string, registryMirror: string): Promise<LoneContainerd> {
    const layout = instanceLayout(rootDir);
    mkdirSync(rootDir, { recursive: true });
    const podCIDR = resolvePodCIDR(layout, undefined);
    const pauseImage = 'registry.k8s.io/pause:3.10';
    const logger = silentLogger;
    const containerd = new ManagedContainerd({ layout, podCIDR, pauseImage, registryMirror, clock, logger });
    await containerd.start(new AbortController().signal);
    await containerd.detach();
    await new PodNetwork(layout, podCIDR, resolveServiceCIDR(layout, podCIDR, undefined)).setUp();
    const connection = connectRuntime({ endpoint: containerd.endpoint, clock, logger });
    await connection.images.pullImage(IMAGE, undefined);
    const lone = new LoneContainerd(layout, connection);
    await lone.times.ready;
    return lone;
  }

  get runtime(): RuntimeConnection['runtime'] {
    return this.connection.runtime;
  }

  /** Removes it and all pods in it, without grace. */
  async stop(): Promise<void> {
    await this.times.stop();
    this.connection.close();
    await LoneContainerd.remove(this.layout.rootDir);
  }

  /** Removes what lives, or half lives, in this directory. */
  static async remove(rootDir: string): Promise<void> {
    await removeHostState(instanceLayout(rootDir), clock, { keepImages: false });
    rmSync(rootDir, { recursive: true, force: true });
  }
}
