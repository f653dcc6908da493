import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, inject } from 'vitest';
import type { Event, Pod } from '../../../src/api/generated/types.ts';
import { type InstanceLayout, instanceLayout } from '../../../src/lib/instance.ts';
import { ApiReader } from './api-reader.ts';
import { leftoversOf, networkNamespaces } from './leftovers.ts';
import { outputOf, type ProcessOptions, type ProcessResult, runProcess } from './run-process.ts';

export interface TestNodeOptions {
  /** More words for `kubelette up`; they come last and win. */
  readonly args?: readonly string[];
}

/** What `kubectl get pods` shows of a pod in one moment: `READY STATUS RESTARTS`, without the times. */
export type Columns = string;

const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

interface Table {
  rows: { cells: unknown[]; object: { metadata: { name: string } } }[];
}

/** One agent with everything of its own, run by the built command as a user would. */
export class TestNode {
  readonly layout: InstanceLayout;
  private readonly args: readonly string[];
  private readonly settings = inject('e2e');
  private reader: ApiReader | undefined;
  private readonly namespaces = new Set<number>();

  private constructor(rootDir: string, args: readonly string[]) {
    this.layout = instanceLayout(rootDir);
    this.args = args;
  }

  static async start(options: TestNodeOptions = {}): Promise<TestNode> {
    const { directory, registryMirror, resolvConf } = inject('e2e');
    await mkdir(directory, { recursive: true });
    const rootDir = await mkdtemp(join(directory, 'node-'));
    const node = new TestNode(rootDir, [
      ...['--root-dir', rootDir, '--port', '0', '--pod-cidr', randomPodCIDR()],
      ...['--registry-mirror', registryMirror, '--resolv-conf', resolvConf],
      ...(options.args ?? []),
    ]);
    try {
      await node.up();
    } catch (error) {
      await node.purge().catch(() => {});
      throw error;
    }
    return node;
  }

  /** Starts the agent, for the first time or again; resolves once the node is Ready. */
  async up(): Promise<void> {
    await this.kubelette('up', '--detach', ...this.args);
    this.reader?.close();
    this.reader = new ApiReader(this.layout.kubeconfig);
  }

  /** The agent's process id. */
  get agentPid(): number {
    return (JSON.parse(readFileSync(this.layout.agentFile, 'utf8')) as { pid: number }).pid;
  }

  /** The file that pods with dnsPolicy Default get. */
  get resolvConf(): string {
    return this.settings.resolvConf;
  }

  get api(): ApiReader {
    return this.reader!;
  }

  /** Runs `kubelette` with these words; resolves with its stdout, rejects when it fails. */
  kubelette(...args: string[]): Promise<string> {
    return outputOf(this.settings.kubelette, args, { cwd: '/' });
  }

  /** `kubelette` against this node, whatever its exit code. */
  kubeletteResult(args: readonly string[], options?: ProcessOptions): Promise<ProcessResult> {
    return runProcess(this.settings.kubelette, [args[0]!, '--root-dir', this.layout.rootDir, ...args.slice(1)], {
      cwd: '/',
      ...options,
    });
  }

  /** Runs kubectl against this node; resolves with its stdout, rejects when it fails. */
  kubectl(...args: string[]): Promise<string> {
    return outputOf(this.settings.kubectl, args, { env: this.kubectlEnv });
  }

  /** kubectl with a manifest on its standard input, such as `apply -f -`. */
  kubectlWith(input: string, ...args: string[]): Promise<string> {
    return outputOf(this.settings.kubectl, args, { env: this.kubectlEnv, input });
  }

  /** kubectl, whatever its exit code. @param path another kubectl */
  kubectlResult(
    args: readonly string[],
    options?: ProcessOptions,
    path = this.settings.kubectl,
  ): Promise<ProcessResult> {
    return runProcess(path, args, { ...options, env: { ...this.kubectlEnv, ...options?.env } });
  }

  /** A shell command line in a terminal of its own, with this node's kubeconfig; stdout is what the terminal shows. */
  inTerminal(words: string): Promise<ProcessResult> {
    return runProcess('script', ['--quiet', '--return', '--command', words, '/dev/null'], { env: this.kubectlEnv });
  }

  /** For programs that find the node through their environment. */
  get kubectlEnv(): Record<string, string> {
    return { KUBECONFIG: this.layout.kubeconfig, KUBECACHEDIR: join(this.settings.directory, 'kubectl-cache') };
  }

  async apply(manifest: string, ...args: string[]): Promise<void> {
    await this.kubectlWith(manifest, 'apply', '-f', '-', ...args);
  }

  pod(name: string, namespace = 'default'): Promise<Pod> {
    return this.api.get<Pod>(`/api/v1/namespaces/${namespace}/pods/${name}`);
  }

  /** The pod's events, oldest first. */
  async events(name: string, namespace = 'default'): Promise<Event[]> {
    const query = `fieldSelector=${encodeURIComponent(`involvedObject.name=${name}`)}`;
    const list = await this.api.get<{ items: Event[] }>(`/api/v1/namespaces/${namespace}/events?${query}`);
    const at = (e: Event): string => String(e.firstTimestamp ?? e.eventTime ?? '');
    return list.items.sort((a, b) => (at(a) < at(b) ? -1 : 1));
  }

  /**
   * Resolves with the first state of the pod for which `predicate` holds; a pod that does not exist (yet, or any more) is undefined.
   * Fails, showing the last state seen, when none came in time.
   */
  async podUntil(
    name: string,
    predicate: (pod: Pod | undefined) => boolean,
    { namespace = 'default', timeoutMs = 30_000 }: { namespace?: string; timeoutMs?: number } = {},
  ): Promise<Pod | undefined> {
    const path = `/api/v1/namespaces/${namespace}/pods?fieldSelector=${encodeURIComponent(`metadata.name=${name}`)}`;
    const { items } = await this.api.get<{ items: Pod[] }>(path);
    let last = items[0];
    if (predicate(last)) return last;
    return new Promise((resolve, reject) => {
      let stop = (): void => {};
      const timer = setTimeout(() => {
        stop();
        const state = last
          ? JSON.stringify({ ...last.metadata, managedFields: undefined, ...last.status }, null, 1)
          : 'none';
        reject(new Error(`pod ${name}: not within ${timeoutMs} ms: ${predicate}\nThe last state: ${state}`));
      }, timeoutMs);
      const onLine = ({ type, object }: { type: string; object: Pod }): void => {
        if (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED') return;
        last = type === 'DELETED' ? undefined : object;
        if (!predicate(last)) return;
        clearTimeout(timer);
        stop();
        resolve(last);
      };
      // Without a resourceVersion the watch begins with what is there now.
      this.api.watch<Pod>(path, onLine).then((s) => {
        stop = s;
      }, reject);
    });
  }

  /** The pod once it is Ready. */
  async podReady(name: string, options?: { namespace?: string; timeoutMs?: number }): Promise<Pod> {
    return (await this.podUntil(name, isReady, options))!;
  }

  /** What `kubectl get pods -w` would show of the pods of a namespace from now on, as it comes. */
  async watchColumns(namespace: string, onRow: (pod: string, columns: Columns) => void): Promise<() => void> {
    return this.api.watch<Table>(
      `/api/v1/namespaces/${namespace}/pods`,
      ({ type, object }) => {
        for (const { cells, object: pod } of object.rows ?? []) {
          const [, ready, status, restarts] = cells.map(String);
          const count = restarts?.split(' ')[0];
          onRow(pod.metadata.name, type === 'DELETED' ? '(gone)' : `${ready} ${status} ${count}`);
        }
      },
      TABLE,
    );
  }

  /** What the private containerd has, by `ctr` words such as `containers list -q`. */
  ctr(...args: string[]): Promise<string> {
    return outputOf('ctr', ['--address', this.layout.containerd.socket, '--namespace', 'k8s.io', ...args]);
  }

  /** Takes down what only a living instance shows, for `expectNothingLeft`. */
  private noteNamespaces(): void {
    for (const inode of networkNamespaces(this.layout)) this.namespaces.add(inode);
  }

  /** Ends the agent and removes everything of it. */
  async purge(): Promise<void> {
    this.noteNamespaces();
    this.reader?.close();
    await this.kubelette('down', '--purge', '--root-dir', this.layout.rootDir);
  }

  /** What is still on the host of an instance that was purged: nothing. */
  async expectNothingLeft(): Promise<void> {
    expect(await leftoversOf(this.layout, this.namespaces)).toEqual([]);
  }
}

/** Whether this machine has a kubectl to test with; without, the tests that need it are skipped and say so. */
export const hasKubectl = (): boolean => inject('e2e').kubectl !== '';

/**
 * A node for all tests of a file (or of a `describe`), which talk to it through kubectl. Afterwards it is removed, also when tests
 * failed, and nothing of it may be left.
 */
export function useNode(options: TestNodeOptions = {}): { readonly current: TestNode } {
  let node: TestNode | undefined;
  beforeAll(async () => {
    if (hasKubectl()) node = await TestNode.start(options);
  });
  beforeEach(({ skip }) => skip(!hasKubectl(), 'needs kubectl 1.27 or newer'));
  afterAll(async () => {
    if (node === undefined) return;
    await node.purge();
    await node.expectNothingLeft();
  });
  return {
    get current() {
      return node!;
    },
  };
}

export function isReady(pod: Pod | undefined): boolean {
  return pod?.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') === true;
}

/** One of 16 384 networks, since test files run side by side. */
function randomPodCIDR(): string {
  const random = (n: number): number => Math.floor(Math.random() * n);
  return `10.${64 + random(64)}.${random(256)}.0/24`;
}
