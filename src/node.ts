/**
 * kubelette as a library: a node of your own for as long as you hold it.
 *
 *     await using node = await startNode();
 *     await node.apply(manifest);
 *     const pod = await node.waitFor('web');
 *     fetch(`http://${pod.status.podIP}/`);
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { type AgentOptions, parseAgentOptions } from './agent/agent-options.ts';
import { fileLogger } from './agent/file-logger.ts';
import { startAgent } from './agent/start-agent.ts';
import { stopInstance } from './agent/stop-instance.ts';
import type { Pod } from './api/generated/types.ts';
import { readManifest } from './api/manifest.ts';
import { isTerminalPhase } from './api/pod-phase.ts';
import { type KubeObject, PODS, pathOf } from './api/resources.ts';
import { openSocket, sendRequest } from './cli/api-transport.ts';
import { applyManifest } from './cli/apply-manifest.ts';
import { EXEC_PROTOCOLS, runExecSession } from './cli/exec-session.ts';
import type { KubeClient } from './client/kube-client.ts';
import { SystemClock } from './lib/clock.ts';
import { UserError } from './lib/errors.ts';
import { SystemRandom } from './lib/random.ts';

export type { Container, Pod, PodStatus, Probe } from './api/generated/types.ts';
export * from './api/resources.ts';
export { ApiStatusError } from './api/status-error.ts';
export type { KubeClient } from './client/kube-client.ts';
export { UserError } from './lib/errors.ts';

/** As the options of `kubelette up`; all may be left out. */
export interface NodeOptions extends Partial<AgentOptions> {
  /** Default: a new directory, removed by `stop`. One that you name is kept, and its pods run again at the next start. */
  readonly rootDir?: string;
  /** Default: any that is free. */
  readonly port?: number;
  /** Told of each step of the start. */
  readonly onProgress?: (text: string) => void;
  /** Gives up starting. */
  readonly signal?: AbortSignal;
}

/** A pod by name, in the namespace `default` unless another is named. */
export interface PodOptions {
  readonly namespace?: string;
  /** Default: the pod's first container. */
  readonly container?: string;
}

export interface WaitOptions extends PodOptions {
  /** Milliseconds, default 60,000. */
  readonly timeoutMs?: number;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A node that is Ready, with its API server. */
export interface KubeletteNode extends AsyncDisposable {
  readonly nodeName: string;
  /** URL of the API server. */
  readonly server: string;
  /** Path of a kubeconfig for kubectl. */
  readonly kubeconfig: string;
  readonly client: KubeClient;
  /**
   * Creates or changes the objects of a manifest (YAML or JSON text, several documents allowed, or one object).
   * @throws UserError naming line, field and reason
   */
  apply(manifest: string | KubeObject, options?: { readonly namespace?: string }): Promise<KubeObject[]>;
  /**
   * Resolves with the pod as soon as the condition (`Ready` by default, such as `Initialized`) is True, or the function says yes.
   * @throws UserError when it takes too long, naming what the pod is waiting for; when the pod is deleted, or has ended and will never
   * be Ready; when the node is stopped
   */
  waitFor(pod: string, until?: string | ((pod: Pod) => boolean), options?: WaitOptions): Promise<Pod>;
  /** What the container has written, or its previous instance. */
  logs(
    pod: string,
    options?: PodOptions & { readonly previous?: boolean; readonly tailLines?: number },
  ): Promise<string>;
  /** Runs a command in a container to its end. */
  exec(
    pod: string,
    command: readonly string[],
    options?: PodOptions & { readonly stdin?: string },
  ): Promise<ExecResult>;
  /** Stops pods and node; nothing is left on the host. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a node in this process: API server, kubelet and a private containerd. Needs root and Linux.
 * @throws UserError for everything that the caller can mend
 */
export async function startNode(options: NodeOptions = {}): Promise<KubeletteNode> {
  const clock = new SystemClock();
  const { onProgress = () => {}, signal = new AbortController().signal, ...settings } = options;
  const checked = parseAgentOptions({ port: 0, ...settings });
  const unknown = Object.keys(settings).find((name) => !(name in checked));
  if (unknown !== undefined) {
    throw new UserError(`startNode: there is no option ${JSON.stringify(unknown)}`, {
      hint: `options are ${[...Object.keys(checked), 'onProgress', 'signal'].join(', ')}`,
    });
  }
  const ownDir = options.rootDir === undefined ? mkdtempSync(join(tmpdir(), 'kubelette-')) : undefined;
  const agentOptions = ownDir === undefined ? checked : { ...checked, rootDir: ownDir };
  const dropOwnDir = (): void => {
    if (ownDir) rmSync(ownDir, { recursive: true, force: true });
  };
  const agent = await startAgent(agentOptions, {
    clock,
    random: new SystemRandom(),
    logger: (path) => fileLogger(path),
    signal,
    onProgress,
  }).catch(async (error: unknown) => {
    dropOwnDir();
    throw error;
  });
  const { client, layout, admin } = agent;
  let stopping: Promise<void> | undefined;
  const ended = new AbortController();
  const assertRuns = (): void => {
    if (ended.signal.aborted) throw new UserError('the node has been stopped');
  };
  const stop = (): Promise<void> => {
    ended.abort();
    stopping ??= (async () => {
      await agent.stop();
      await stopInstance(layout, { purge: ownDir !== undefined, clock, onProgress });
      dropOwnDir();
    })();
    return stopping;
  };

  return {
    nodeName: agent.nodeName,
    server: agent.server,
    kubeconfig: layout.kubeconfig,
    client,
    stop,
    [Symbol.asyncDispose]: stop,

    async apply(manifest, { namespace = 'default' } = {}) {
      assertRuns();
      const text = typeof manifest === 'string' ? manifest : JSON.stringify(manifest);
      const applied: KubeObject[] = [];
      for (const { resource, object, locate } of readManifest(text, 'manifest')) {
        const { metadata } = object;
        const placed = resource.namespaced ? { ...object, metadata: { namespace, ...metadata } } : object;
        const result = await applyManifest(client, { resource, object: placed, locate }, 'strict', onProgress);
        applied.push(result.object);
      }
      return applied;
    },

    async waitFor(pod, until = 'Ready', { namespace = 'default', timeoutMs = 60_000 } = {}) {
      assertRuns();
      const holds =
        typeof until === 'function'
          ? until
          : (seen: Pod) => seen.status?.conditions?.some((c) => c.type === until && c.status === 'True') ?? false;
      const what = typeof until === 'string' ? until : 'as asked';
      const late = new AbortController();
      const timer = clock.setTimer(timeoutMs, () => late.abort());
      try {
        const { items, metadata } = await client.list(PODS, { namespace, fieldSelector: `metadata.name=${pod}` });
        let last = items[0];
        if (!last) throw new UserError(`there is no pod ${JSON.stringify(pod)} in namespace ${namespace}`);
        if (holds(last)) return last;
        if (until === 'Ready') assertCanBeReady(last);
        const { resourceVersion } = metadata;
        const signal = AbortSignal.any([late.signal, ended.signal]);
        const select = { namespace, fieldSelector: `metadata.name=${pod}`, resourceVersion, signal };
        for await (const event of client.watch(PODS, select)) {
          if (event.type === 'ERROR') throw new UserError(`waiting for pod ${pod}: ${event.object.message}`);
          if (event.type === 'DELETED') throw new UserError(`pod ${pod} was deleted while it was waited for`);
          last = event.object;
          if (holds(last)) return last;
          if (until === 'Ready') assertCanBeReady(last);
        }
        if (ended.signal.aborted) throw new UserError(`the node was stopped while pod ${pod} was waited for`);
        throw new UserError(`pod ${pod} is not ${what} after ${timeoutMs / 1000} s: ${waitsFor(last)}`);
      } finally {
        timer.cancel();
        late.abort();
      }
    },

    async logs(pod, { namespace = 'default', container, previous, tailLines } = {}) {
      assertRuns();
      const query = new URLSearchParams();
      if (container !== undefined) query.set('container', container);
      if (previous) query.set('previous', 'true');
      if (tailLines !== undefined) query.set('tailLines', String(tailLines));
      const path = `${pathOf(PODS, namespace, pod, 'log')}?${query}`;
      return await textOf((await sendRequest(admin, { path })).body);
    },

    async exec(pod, command, { namespace = 'default', container, stdin } = {}) {
      assertRuns();
      const query = new URLSearchParams({ stdout: 'true', stderr: 'true', stdin: String(stdin !== undefined) });
      if (container !== undefined) query.set('container', container);
      for (const word of command) query.append('command', word);
      const socket = await openSocket(admin, `${pathOf(PODS, namespace, pod, 'exec')}?${query}`, EXEC_PROTOCOLS);
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const texts = Promise.all([textOf(stdout), textOf(stderr)]);
      const exitCode = await runExecSession(socket, {
        stdin: stdin === undefined ? undefined : Readable.from([Buffer.from(stdin)]),
        stdout,
        stderr,
        terminal: undefined,
      }).finally(() => {
        stdout.end();
        stderr.end();
      });
      const [out, err] = await texts;
      return { exitCode, stdout: out, stderr: err };
    },
  };
}

/** @throws UserError for a pod that has ended: no container of it is started again */
function assertCanBeReady(pod: Pod): void {
  if (!isTerminalPhase(pod.status?.phase)) return;
  throw new UserError(`pod ${pod.metadata.name} will not be Ready: ${waitsFor(pod)}`);
}

/** One line: the phase, why containers wait, and how they ended. */
function waitsFor(pod: Pod): string {
  const { phase = 'Pending', initContainerStatuses = [], containerStatuses = [], conditions = [] } = pod.status ?? {};
  const states = [...initContainerStatuses, ...containerStatuses].flatMap(({ name, state }) => {
    if (state?.waiting) return [`${name} waits: ${state.waiting.reason}`];
    return state?.terminated ? [`${name} ended with exit code ${state.terminated.exitCode}`] : [];
  });
  const unmet = conditions.filter((c) => c.status !== 'True' && c.message).map((c) => c.message!);
  return [`phase ${phase}`, ...states, ...new Set(unmet)].join('; ');
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}
