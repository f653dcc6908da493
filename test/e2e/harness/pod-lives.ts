import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Container, Pod } from '../../../src/api/generated/types.ts';
import { findProcesses } from '../../../src/cri/host-facts.ts';
import type { InstanceLayout } from '../../../src/lib/instance.ts';
import type { Random } from '../../../src/lib/random.ts';
import { eventually } from './eventually.ts';
import { podManifest, sh } from './manifests.ts';
import { isReady, type TestNode } from './test-node.ts';

export interface PodLivesOptions {
  readonly node: TestNode;
  /** What the names of its pods begin with. */
  readonly prefix: string;
  /** A directory of the host: the diaries. */
  readonly host: string;
  readonly random: Random;
  /**
   * What our kills may do: nothing at all; break off starts that are under way; end all of a pod. In any case nothing runs twice at a
   * time, restarts are counted, and what has been shown stands.
   */
  readonly mayBreak: 'nothing' | 'starts' | 'pods';
}

/** As much of an OCI bundle's config.json as is needed. */
interface BundleConfig {
  readonly linux: { readonly namespaces: readonly { readonly type: string; readonly path?: string }[] };
}

/** What is done to a pod, and what its containers do. */
interface Life {
  readonly name: string;
  /** The init containers, by how often each fails first. */
  readonly inits: readonly number[];
  readonly crashes: boolean;
  readonly isProbed: boolean;
  /** Its diary is on the host from the start, which keeps containers from being created early; otherwise in an emptyDir. */
  readonly isOnHost: boolean;
  /** Deleted so long after its creation, in whatever state it is. */
  readonly earlyMs: number | undefined;
  /** So long it is left alone once it is Ready. */
  readonly holdMs: number;
}

const PODS = '/api/v1/namespaces/default/pods';
const LEDGER = '/api/v1/namespaces/default/configmaps/ledger';
const POLL_MS = 150;
const SAMPLE_MS = 80;
const LONGEST_WAIT_MS = 90_000;
/** From a container's first line until nobody is busy with its start any more. */
const LONGEST_START_S = 2;

/**
 * Pods that come, run, restart and go, one after the other in each of some slots, driven through an API server that may be away at
 * any time. Every container writes down when it starts, is told to stop, and ends; all that must hold is checked against that.
 */
export class PodLives {
  readonly violations: string[] = [];
  /** How many lives have ended. */
  ended = 0;
  private readonly options: PodLivesOptions;
  private readonly stopping = new AbortController();
  private readonly pods = new Map<string, Pod>();
  /** When each pod became Ready, as it was told first. */
  private readonly readySince = new Map<string, string>();
  private readonly restarts = new Map<string, number>();
  private readonly netns = new Set<string>();
  private readonly shimSockets = new Set<string>();
  private acknowledged = 0;
  /** Seconds of uptime, as in the diaries. */
  private readonly kills: number[] = [];

  constructor(options: PodLivesOptions) {
    this.options = options;
  }

  /** Begins lives until `finish` is called; resolves when the last ones have ended. */
  async run(slots: number): Promise<void> {
    const watchers = new AbortController();
    const watching = [this.every(POLL_MS, watchers.signal, () => this.look())];
    watching.push(this.every(SAMPLE_MS, watchers.signal, async () => this.lookForDoubles()));
    watching.push(this.every(0, watchers.signal, () => this.writeLedger()));
    try {
      await Promise.all(
        Array.from({ length: slots }, async (_, slot) => {
          for (let i = 0; !this.stopping.signal.aborted; i++)
            await this.live(this.draw(`${this.options.prefix}-${slot}-${i}`));
        }),
      );
    } finally {
      watchers.abort();
      await Promise.all(watching);
    }
  }

  /** Something is killed now. */
  noteKill(): void {
    this.kills.push(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]));
  }

  finish(): void {
    this.stopping.abort();
  }

  /** What is left of pods that have ended: nothing. */
  async leftovers(): Promise<string[]> {
    const { layout } = this.options.node;
    const found = (await this.options.node.ctr('containers', 'list', '-q')).split('\n').filter((id) => id !== '');
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((target) => target.startsWith(`${layout.podsDir}/`) || target.startsWith(`${this.tasksDir}/`));
    const addresses = entries(layout.cni.ipamDir, true).filter((name) => /\/\d+(\.\d+){3}$/.test(name));
    return [
      ...found.map((id) => `container ${id}`),
      ...entries(layout.podsDir).map((name) => `pod directory ${name}`),
      ...entries(layout.podLogsDir).map((name) => `log directory ${name}`),
      ...entries(this.tasksDir).map((id) => `task ${id}`),
      ...entries(join(layout.containerd.state, 'runc/k8s.io')).map((id) => `runc's state of ${id}`),
      ...shimsOf(layout).map((pid) => `shim ${pid}`),
      ...processesOf(layout),
      ...addresses.map((name) => `address ${name}`),
      ...mounts.map((target) => `mount ${target}`),
      ...[...this.shimSockets].filter((path) => existsSync(path)).map((path) => `shim's socket ${path}`),
      ...[...this.netns].filter((path) => existsSync(path)).map((path) => `network namespace ${path}`),
    ];
  }

  // --- one life

  private draw(name: string): Life {
    const { random } = this.options;
    const chance = (p: number): boolean => random.float() < p;
    const inits = Array.from({ length: Math.floor(random.float() * 3) }, () => (chance(0.25) ? 1 : 0));
    const earlyMs = chance(0.2) ? Math.floor(random.float() * 2500) : undefined;
    return {
      ...{ name, inits, crashes: chance(0.3), isProbed: chance(0.25), isOnHost: chance(0.5), earlyMs },
      holdMs: 1000 + Math.floor(random.float() * 7000),
    };
  }

  private async live(life: Life): Promise<void> {
    const { name, earlyMs } = life;
    try {
      await this.untilAnswered('POST', PODS, [201, 409], JSON.parse(this.manifest(life)));
      if (earlyMs === undefined) {
        await this.until(`${name} is Ready`, () => this.isComplete(life));
        if (!life.isOnHost) await eventually(() => this.keepDiary(life));
        await delay(life.holdMs);
      } else await delay(earlyMs);
      await this.untilAnswered('DELETE', `${PODS}/${name}`, [200, 202, 404]);
      await this.until(`${name} is gone`, () => !this.pods.has(name));
      if (earlyMs === undefined || life.isOnHost) this.checkDiary(life);
      this.ended++;
    } catch (error) {
      const { metadata, status } = this.pods.get(name) ?? {};
      const last = JSON.stringify({ deletionTimestamp: metadata?.deletionTimestamp, status });
      this.violations.push(`${name}: ${error instanceof Error ? error.message : String(error)}; last seen: ${last}`);
    }
  }

  /** Ready, and everything has happened that will. */
  private isComplete({ name, crashes }: Life): boolean {
    const pod = this.pods.get(name);
    const crasher = pod?.status?.containerStatuses?.find((c) => c.name === 'crash');
    return isReady(pod) && (!crashes || (crasher?.restartCount ?? 0) > 0);
  }

  private manifest({ name, inits, crashes, isProbed, isOnHost }: Life): string {
    const { host } = this.options;
    const diary = `/diary/${isOnHost ? `${name}` : 'diary'}`;
    const mount = { volumeMounts: [{ name: 'diary', mountPath: '/diary' }] };
    const container = (own: string, script: string, more: Partial<Container> = {}): Container => {
      // The first words tell instances of one container from those of others on the host.
      const text = `: ${this.marker(name, own)}; say() { read up _ < /proc/uptime; echo "${own} $1 $up" >> ${diary}; }; ${script}`;
      return sh(own, text, { ...mount, ...more });
    };
    const once = (own: string): string => `${diary}.${own}`;
    const serve = `trap 'say term; exit 0' TERM; say start; sleep 3600 & wait`;
    const probe = { readinessProbe: { exec: { command: ['true'] }, periodSeconds: 3 } };
    return podManifest(name, {
      volumes: [isOnHost ? { name: 'diary', hostPath: { path: host } } : { name: 'diary', emptyDir: {} }],
      initContainers: inits.map((failures, i) => {
        const fail = failures > 0 ? `test -e ${once(`i${i}`)} || { touch ${once(`i${i}`)}; exit 1; }; ` : '';
        return container(`i${i}`, `say start; ${fail}sleep 0.3; say end`);
      }),
      containers: [
        container('app', serve, isProbed ? probe : {}),
        ...(crashes
          ? [container('crash', `test -e ${once('crash')} || { touch ${once('crash')}; say start; exit 1; }; ${serve}`)]
          : []),
      ],
      terminationGracePeriodSeconds: 5,
    });
  }

  private marker(pod: string, container: string): string {
    return `${this.options.node.layout.id}/${pod}/${container}`;
  }

  /** Holds on to a diary that would go with its pod. */
  private keepDiary({ name }: Life): void {
    const uid = this.pods.get(name)?.metadata.uid ?? '';
    const path = join(this.options.node.layout.podsDir, uid, 'volumes/kubernetes.io~empty-dir/diary/diary');
    linkSync(path, join(this.options.host, name));
  }

  private checkDiary({ name, inits, crashes, earlyMs }: Life): void {
    const path = join(this.options.host, name);
    const written = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
    const lines = written.map((line) => line.replace(/ [\d.]+$/, ''));
    const init = inits.flatMap((failures, i) => [
      ...Array.from({ length: failures }, () => `i${i} start`),
      ...[`i${i} start`, `i${i} end`],
    ]);
    const apps = ['app start', 'app term', ...(crashes ? ['crash start', 'crash start', 'crash term'] : [])];
    const text = `${name} (${JSON.stringify({ inits, crashes, earlyMs })}) wrote: ${written.join(', ')}`;
    if (this.options.mayBreak !== 'nothing') {
      for (const container of ['app', 'crash']) {
        const starts = lines.filter((line) => line === `${container} start`).length;
        const told = this.restarts.get(`${name}/${container}`) ?? 0;
        if (starts > told + 1) this.violations.push(`${text}; but its restartCount of ${container} is ${told}`);
      }
      if (this.options.mayBreak === 'starts') this.checkThatItLivedOn(text, written);
      return;
    }
    if (earlyMs !== undefined) {
      const left = [...apps];
      const rest = lines.slice(init.length);
      const isPrefix = lines.slice(0, init.length).every((line, i) => line === init[i]);
      const isPart = rest.every((line) => left.includes(line) && left.splice(left.indexOf(line), 1));
      if (!isPrefix || !isPart) this.violations.push(text);
      return;
    }
    const wanted = [...init, ...apps.toSorted()];
    const found = [...lines.slice(0, init.length), ...lines.slice(init.length).toSorted()];
    if (found.join() !== wanted.join()) this.violations.push(text);
    const told = this.restarts.get(`${name}/crash`) ?? 0;
    if (told !== Number(crashes)) this.violations.push(`${text}; but its restartCount of crash is ${told}`);
  }

  /** The app, which never ends by itself, was not started again over a kill that came long after its start. */
  private checkThatItLivedOn(text: string, written: readonly string[]): void {
    const starts = written.filter((line) => line.startsWith('app start ')).map((line) => Number(line.split(' ')[2]));
    for (const [i, at] of starts.entries()) {
      const next = starts[i + 1] ?? 0;
      const kill = this.kills.find((k) => at + LONGEST_START_S < k && k < next);
      if (kill !== undefined) this.violations.push(`${text}; but the kill at ${kill} was none of its business`);
    }
  }

  // --- the API server, which may be away

  private async untilAnswered(method: string, path: string, codes: readonly number[], body?: unknown): Promise<void> {
    let last: unknown;
    for (const end = performance.now() + LONGEST_WAIT_MS; performance.now() < end; await delay(POLL_MS)) {
      try {
        const [code, answer] = await this.options.node.api.send(method, path, body);
        if (codes.includes(code)) return;
        last = answer;
      } catch (error) {
        last = (error as Error).message;
        if (String(last).endsWith('no answer')) this.violations.push(String(last));
      }
    }
    throw new Error(`${method} ${path} got no answer: ${JSON.stringify(last)}`);
  }

  private async until(what: string, isSo: () => boolean): Promise<void> {
    for (const end = performance.now() + LONGEST_WAIT_MS; performance.now() < end; await delay(POLL_MS)) {
      if (isSo()) return;
    }
    throw new Error(`not within ${LONGEST_WAIT_MS} ms: ${what}`);
  }

  private async every(ms: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      // The API server is away, or what was just there is gone.
      await work().catch((error: Error) => {
        if (error.message.endsWith('no answer')) this.violations.push(error.message);
      });
      await delay(Math.max(10, ms), undefined, { signal }).catch(() => {});
    }
  }

  // --- what must hold at any time

  private async look(): Promise<void> {
    const { items } = await this.options.node.api.get<{ items: Pod[] }>(PODS);
    const names = new Set(items.map((pod) => pod.metadata.name!));
    for (const name of this.pods.keys()) if (!names.has(name)) this.pods.delete(name);
    for (const pod of items) this.take(pod);
    for (const id of entries(this.tasksDir)) {
      const config = JSON.parse(readFileSync(join(this.tasksDir, id, 'config.json'), 'utf8')) as BundleConfig;
      const path = config.linux.namespaces.find((n) => n.type === 'network')?.path;
      if (path && !path.startsWith('/proc/')) this.netns.add(path);
      this.shimSockets.add(read(join(this.tasksDir, id, 'address')).replace(/^unix:\/\//, ''));
    }
  }

  private take(pod: Pod): void {
    const { name = '', deletionTimestamp } = pod.metadata;
    this.pods.set(name, pod);
    const { initContainerStatuses = [], containerStatuses = [], conditions = [] } = pod.status ?? {};
    for (const c of [...initContainerStatuses, ...containerStatuses]) {
      const key = `${name}/${c.name}`;
      const before = this.restarts.get(key) ?? 0;
      if (c.restartCount < before)
        this.violations.push(`the restartCount of ${key} falls from ${before} to ${c.restartCount}`);
      this.restarts.set(key, c.restartCount);
    }
    const ready = conditions.find((c) => c.type === 'Ready');
    const crashes = containerStatuses.length > 1;
    if (this.options.mayBreak === 'pods' || deletionTimestamp || crashes) return;
    const since = this.readySince.get(name);
    const now = ready?.status === 'True' ? ready.lastTransitionTime : undefined;
    if (since === undefined && now) this.readySince.set(name, now);
    if (since === undefined || now === since) return;
    this.violations.push(`${name} was Ready since ${since}, and is now ${JSON.stringify(ready)}`);
    this.readySince.delete(name);
  }

  /** Two first processes of one container at a time. */
  private lookForDoubles(): void {
    const running = new Map<string, string[]>();
    for (const pid of readdirSync('/proc')) {
      if (!/^\d/.test(pid)) continue;
      const marker = markerOf(pid);
      if (marker?.startsWith(`${this.options.node.layout.id}/`)) {
        running.set(marker, [...(running.get(marker) ?? []), pid]);
      }
    }
    for (const [marker, pids] of running) {
      if (pids.length < 2) continue;
      // A shell that has just forked looks like two.
      const first = pids.filter((pid) => isFirstProcess(pid) && markerOf(pid) === marker);
      if (first.length > 1) this.violations.push(`${marker} runs ${first.length} times: ${first.join(', ')}`);
    }
  }

  /** A number that only ever grows: what the API server has said to have stored is there. */
  private async writeLedger(): Promise<void> {
    const { api } = this.options.node;
    const before = this.acknowledged;
    const [code, found] = await api.send('PATCH', LEDGER, { data: { n: String(before + 1) } }, MERGE_PATCH);
    if (code === 200) this.acknowledged = before + 1;
    else if (code === 404 && before === 0) {
      await api.send('POST', LEDGER.replace(/\/ledger$/, ''), { metadata: { name: 'ledger' }, data: { n: '0' } });
    } else this.violations.push(`write ${before + 1} of the ledger: ${code} ${JSON.stringify(found)}`);
    const now = await api.get<{ data: { n: string } }>(LEDGER);
    if (Number(now.data.n) < this.acknowledged) {
      this.violations.push(`write ${this.acknowledged} of the ledger was acknowledged, and it is at ${now.data.n}`);
    }
  }

  private get tasksDir(): string {
    return join(this.options.node.layout.containerd.state, 'io.containerd.runtime.v2.task/k8s.io');
  }
}

/** The shims of a node's pods. */
export function shimsOf({ containerd }: InstanceLayout): number[] {
  const shims = findProcesses(
    (words) =>
      (words[0]?.includes('containerd-shim') ?? false) && words.includes(containerd.socket) && !words.includes('start'),
  );
  return shims.map(({ pid }) => pid);
}

const MERGE_PATCH = 'application/merge-patch+json';

function entries(directory: string, recursive = false): string[] {
  mkdirSync(directory, { recursive: true });
  return readdirSync(directory, { recursive }).map(String);
}

/** In the cgroups of pods. */
function processesOf({ cgroupParent }: InstanceLayout): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d/.test(pid) && new RegExp(`:${cgroupParent}/.*pod`).test(read(`/proc/${pid}/cgroup`)))
    .map((pid) => `process ${pid}: ${read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // the process has just ended
  }
}

function markerOf(pid: string): string | undefined {
  return /^sh\0-c\0: (\S+);/.exec(read(`/proc/${pid}/cmdline`))?.[1];
}

/** Of its own pid namespace, and not ended. */
function isFirstProcess(pid: string): boolean {
  const status = read(`/proc/${pid}/status`);
  return /^NSpid:.*\t1$/m.test(status) && !/^State:\s+[ZX]/m.test(status);
}
