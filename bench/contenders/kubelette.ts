import { rmSync } from 'node:fs';
import { request } from 'node:https';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { readAgentFile } from '../../src/agent/agent-file.ts';
import type { Pod } from '../../src/api/generated/types.ts';
import { PODS } from '../../src/api/resources.ts';
import { HttpKubeClient } from '../../src/client/http-kube-client.ts';
import { loadKubeconfig } from '../../src/client/kubeconfig.ts';
import { connectRuntime, type RuntimeConnection } from '../../src/cri/cri-client.ts';
import type { ProbeRecord } from '../../src/kubelet/ports.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { type InstanceLayout, instanceLayout } from '../../src/lib/instance.ts';
import { silentLogger } from '../../src/lib/logger.ts';
import { outputOf } from '../../test/e2e/harness/run-process.ts';
import { processTree } from '../host.ts';
import { IMAGE, idlePod, isReady, isRunning, restartingPod, servingPod, watchedPod } from '../pods.ts';
import type { Contender, Starts } from './contender.ts';
import { HealthServer } from './health-server.ts';
import { TaskTimes } from './task-times.ts';

const command = fileURLToPath(new URL('../../bin/kubelette', import.meta.url));
const NAMESPACE = 'default';

/** The built command, driven through its API server. What is timed is what a user's watch shows. */
export class Kubelette implements Contender {
  readonly name = 'kubelette';
  readonly isForeign = false;
  readonly layout: InstanceLayout;
  readonly starts: Starts = {
    chain: () => this.startPod(idlePod(5), isRunning),
    plain: () => this.startPod(idlePod(), isRunning),
    ready: () => this.startPod(servingPod(), isReady),
    restart: () => this.restart(),
    liveness: () => this.liveness(),
  };
  readonly crowd = (count: number): Promise<number> => this.createAll(Array.from({ length: count }, servingPod));
  readonly pids = (): number[] => processTree(readAgentFile(this.layout)!.pid, this.layout.containerd.config);
  readonly client = (): HttpKubeClient => this.connections!.client;
  private readonly options: readonly string[];
  private readonly registryMirror: string;
  private connections:
    | { client: HttpKubeClient; runtime: RuntimeConnection; times: TaskTimes; health: HealthServer }
    | undefined;

  /** @param options of `kubelette up`, beside those that every node here has */
  constructor(rootDir: string, registryMirror: string, options: readonly string[] = []) {
    this.layout = instanceLayout(rootDir);
    this.registryMirror = registryMirror;
    this.options = options;
  }

  async start(): Promise<void> {
    await this.up();
    const client = new HttpKubeClient(await loadKubeconfig(this.layout.kubeconfig));
    const clock = new SystemClock();
    const runtime = connectRuntime({ endpoint: this.layout.containerd.socket, clock, logger: silentLogger });
    const connections = { client, runtime, times: new TaskTimes(runtime.runtime), health: new HealthServer() };
    this.connections = connections;
    await connections.health.start();
    await connections.times.ready;
    await runtime.images.pullImage(IMAGE, undefined);
  }

  async stop(): Promise<void> {
    await this.disconnect();
    await this.run('down', '--root-dir', this.layout.rootDir, '--purge');
    rmSync(this.layout.rootDir, { recursive: true, force: true });
  }

  /** Ends the node but keeps its images; `start` begins it anew. */
  async down(): Promise<void> {
    await this.disconnect();
    await this.run('down', '--root-dir', this.layout.rootDir);
  }

  /** Milliseconds of `kubelette --version`. */
  version(): Promise<number> {
    return this.run('--version');
  }

  /** Milliseconds of `kubelette up --detach`, which returns once the node is Ready. */
  up(): Promise<number> {
    return this.run('up', '--detach', ...this.nodeOptions());
  }

  /** Milliseconds of `kubelette run`, which starts a node and returns once the pods of the file are Ready. */
  runFile(path: string): Promise<number> {
    return this.run('run', '--detach', ...this.nodeOptions(), path);
  }

  /** Deletes a pod of a node that `up` or `runFile` started; resolves when it is gone. */
  async remove(pod: Pod): Promise<void> {
    await this.run('delete', '--root-dir', this.layout.rootDir, `pod/${pod.metadata.name}`);
  }

  private nodeOptions(): string[] {
    const { rootDir } = this.layout;
    return ['--root-dir', rootDir, '--port', '0', '--registry-mirror', this.registryMirror, ...this.options];
  }

  private async run(...args: string[]): Promise<number> {
    const startedAt = performance.now();
    await outputOf(command, args, { cwd: '/', timeoutMs: 120_000 });
    return performance.now() - startedAt;
  }

  private async disconnect(): Promise<void> {
    const { client, runtime, times, health } = this.connections ?? {};
    this.connections = undefined;
    await times?.stop();
    runtime?.close();
    client?.close();
    health?.close();
  }

  /** Milliseconds from sending the pod until its status satisfies `done`; then `before` is awaited, and the pod deleted. */
  async startPod(pod: Pod, done: (pod: Pod) => boolean, before?: () => Promise<void>): Promise<number> {
    const client = this.client();
    const name = pod.metadata.name!;
    const key = { namespace: NAMESPACE, name };
    const { metadata } = await client.list(PODS, { namespace: NAMESPACE, limit: 1 });
    const stop = new AbortController();
    const events = client.watch(PODS, {
      namespace: NAMESPACE,
      fieldSelector: `metadata.name=${name}`,
      resourceVersion: metadata.resourceVersion,
      signal: stop.signal,
    });
    const startedAt = performance.now();
    await client.create(PODS, pod);
    let took = 0;
    for await (const event of events) {
      if (event.type === 'ERROR') throw new Error(`the watch of ${name} ended: ${event.object.message}`);
      if (event.type === 'DELETED') break;
      if (took > 0 || !done(event.object)) continue;
      took = performance.now() - startedAt;
      await before?.();
      await client.delete(PODS, key);
    }
    stop.abort();
    return took;
  }

  /** Creates all at once: milliseconds until all are Ready. They stay. */
  async createAll(pods: readonly Pod[]): Promise<number> {
    const client = this.client();
    const { metadata } = await client.list(PODS, { namespace: NAMESPACE, limit: 1 });
    const stop = new AbortController();
    const { resourceVersion } = metadata;
    const events = client.watch(PODS, { namespace: NAMESPACE, resourceVersion, signal: stop.signal });
    const waited = new Set(pods.map((pod) => pod.metadata.name));
    const startedAt = performance.now();
    await Promise.all(pods.map((pod) => client.create(PODS, pod)));
    for await (const event of events) {
      if (event.type === 'ERROR') throw new Error(`the watch ended: ${event.object.message}`);
      if (event.type !== 'DELETED' && isReady(event.object)) waited.delete(event.object.metadata.name);
      if (waited.size === 0) break;
    }
    stop.abort();
    return performance.now() - startedAt;
  }

  private async restart(): Promise<number> {
    const { times } = this.connections!;
    const begun = performance.now();
    let took = 0;
    await this.startPod(restartingPod(), isRunning, async () => {
      const exit = await times.next('containerExited', begun);
      took = (await times.next('containerStarted', exit.at)).at - exit.at;
    });
    return took;
  }

  private async liveness(): Promise<number> {
    const { times, health } = this.connections!;
    const pod = watchedPod(health.port, '/');
    let took = 0;
    await this.startPod(pod, isRunning, async () => {
      await health.answered('/');
      const failedAt = await health.failOnce('/');
      took = (await times.next('containerStarted', failedAt)).at - failedAt;
    });
    return took;
  }

  /** Every probe of a pod, with the results that are remembered. */
  async probes(pod: string): Promise<ProbeRecord[]> {
    const { nodeName, server } = readAgentFile(this.layout)!;
    const { ca, cert, key } = await loadKubeconfig(this.layout.kubeconfig);
    const url = `${server}/api/v1/nodes/${nodeName}/proxy/probes/${NAMESPACE}/${pod}`;
    return new Promise((resolve, reject) => {
      const options = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), agent: false };
      request(url, options, (response) => {
        json(response).then((body) => resolve(body as ProbeRecord[]), reject);
      })
        .on('error', reject)
        .end();
    });
  }
}
