import type { ContainerStatus, Event, Pod } from '../api/generated/types.ts';
import type { ManifestObject } from '../api/manifest.ts';
import { isTerminalPhase } from '../api/pod-phase.ts';
import { type KubeObject, PODS, pathOf, type Resource } from '../api/resources.ts';
import { hasReason } from '../api/status-error.ts';
import type { KubeClient, ObjectKey } from '../client/kube-client.ts';
import { UserError } from '../lib/errors.ts';
import { applyManifest, getOrUndefined, type Validate } from './apply-manifest.ts';
import type { CliContext, ServerOptions } from './context.ts';
import { type DeletePace, deleteObject, waitUntilGone } from './delete-object.ts';
import { followPod, followPodEvents } from './follow-pod.ts';
import { podProbes, podPull } from './pod-facts.ts';
import { describeError } from './report-error.ts';
import { exitCodeAfter, type StopSignal } from './stop-signals.ts';
import { Painter } from './view/painter.ts';
import { finishes, type PodView, podFacts, renderPod } from './view/render-pod.ts';
import { shorten, styleOf } from './view/style.ts';

export interface RunOptions {
  readonly manifests: readonly ManifestObject[];
  readonly validate: Validate;
  /** Return once every pod is Ready (or has finished) and leave all of it running. */
  readonly detach: boolean;
  /** Remove what was made also when all pods have finished by themselves: nobody will be there to look at them. */
  readonly removeFinished: boolean;
}

/** How the run ended: what the caller has to clean up, or may leave. */
export type RunEnd = 'ready' | 'finished' | 'interrupted' | 'refused';

/** How often the kubelet is asked for probe results, of which nobody tells, while nothing else happens. */
const REFRESH_MS = 500;
const LOG_LINES = 100;

/**
 * Applies the objects and shows their pods until they are Ready, have finished, or are removed by Ctrl-C, SIGTERM, or the end
 * of the terminal or of who reads the output. Sets the exit code: that of the first container that failed, or what a shell shows after
 * the signal (130 after Ctrl-C).
 */
export async function runPods(
  context: CliContext,
  server: ServerOptions,
  client: KubeClient,
  options: RunOptions,
): Promise<RunEnd> {
  const run = new Run(context, server, client, options);
  return await run.run();
}

type Made = { resource: Resource; name: string; namespace: string | undefined; uid: string };

class Run {
  private readonly context: CliContext;
  private readonly server: ServerOptions;
  private readonly client: KubeClient;
  private readonly options: RunOptions;
  /** What this run created, in order; what was there before stays at the end. */
  private readonly made: Made[] = [];
  /** By UID, in the order of the file; undefined once gone. */
  private readonly views = new Map<string, PodView | undefined>();
  private readonly screen: Screen;
  private footer = 'Ctrl-C removes what was made.';
  private isOver = false;
  private interrupts = 0;
  private stoppedBy: StopSignal | undefined;
  private wake: () => void = () => {};
  private lost: unknown;

  constructor(context: CliContext, server: ServerOptions, client: KubeClient, options: RunOptions) {
    this.context = context;
    this.server = server;
    this.client = client;
    this.options = options;
    this.screen = context.isTTY ? new LiveScreen(context) : new LineScreen(context);
  }

  async run(): Promise<RunEnd> {
    if (!this.options.manifests.some((m) => m.resource === PODS)) {
      throw new UserError('there is no Pod in the file', { hint: 'kubelette apply -f FILE applies other objects' });
    }
    const stop = new AbortController();
    const applying = new AbortController();
    const interrupt = (signal: StopSignal): void => {
      this.stoppedBy ??= signal;
      // A terminal that closes says so more than once; only who asks again wants it faster.
      const asksAgain = signal === 'SIGINT' || signal === 'SIGTERM';
      this.interrupts = asksAgain ? this.interrupts + 1 : Math.max(this.interrupts, 1);
      applying.abort();
      this.wake();
    };
    const offs = (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'] as const).map((signal) =>
      this.context.onSignal(signal, () => interrupt(signal)),
    );
    try {
      const pods = await this.applyAll(applying.signal);
      if (pods.length === 0 && this.interrupts === 0) {
        await this.removeMade(stop.signal);
        return 'refused';
      }
      const { clock } = this.context;
      const followers = pods.flatMap((pod) => {
        const { name, namespace, uid } = pod.metadata;
        this.views.set(uid!, this.viewOf(pod));
        const key = { name: name!, namespace: namespace!, uid: uid! };
        return [
          followPodEvents(this.client, clock, key, (events) => this.heard(uid!, events), stop.signal),
          followPod(this.client, clock, key, (p) => this.seen(uid!, p), stop.signal).catch((error) => {
            this.lost = error;
            this.wake();
          }),
        ];
      });
      const end = await this.loop(stop.signal);
      if (end === 'finished' && this.options.removeFinished) await this.removeMade(stop.signal);
      stop.abort();
      await Promise.all(followers);
      return end;
    } finally {
      stop.abort();
      this.endShow();
      for (const off of offs) off();
    }
  }

  /** Applies everything. Resolves with the pods; with none when something was refused, whose errors are all printed then. */
  private async applyAll(signal: AbortSignal): Promise<Pod[]> {
    const pods: Pod[] = [];
    let refused = false;
    for (const manifest of this.options.manifests) {
      if (signal.aborted) break;
      try {
        if (manifest.resource === PODS) await this.clearFinished(manifest.object, signal);
        const { object, outcome } = await applyManifest(this.client, manifest, this.options.validate, (text) =>
          this.context.stderr.write(`Warning: ${text}\n`),
        );
        const { name, namespace, uid } = object.metadata;
        if (outcome === 'created') this.made.push({ resource: manifest.resource, name: name!, namespace, uid: uid! });
        if (manifest.resource === PODS) pods.push(object as Pod);
      } catch (error) {
        if (signal.aborted) break;
        refused = true;
        const { text, exitCode } = describeError(error);
        this.context.stderr.write(text);
        this.context.exitCode = exitCode;
      }
    }
    return refused ? [] : pods;
  }

  /** A pod that is over, or on its way out, makes room for a new one of its name: to run a file twice is to run it again. */
  private async clearFinished(object: KubeObject, signal: AbortSignal): Promise<void> {
    const { name, namespace } = object.metadata;
    if (name === undefined) return;
    const key = { name, namespace };
    const old = await getOrUndefined(this.client.get(PODS, key));
    if (!old) return;
    const over = isFinished(old);
    if (!over && old.metadata.deletionTimestamp === undefined) return;
    if (over) await deleteObject(this.client, PODS, key, {});
    await waitUntilGone(this.client, PODS, key, old.metadata.uid, this.context.clock, signal);
  }

  private async loop(signal: AbortSignal): Promise<RunEnd> {
    const { context } = this;
    let removing = 0;
    let announced = false;
    for (;;) {
      if (this.lost) throw this.lost;
      const changed = new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      if (this.interrupts > removing) {
        removing = this.interrupts;
        this.footer = 'removing';
        if (removing > 2) {
          context.exitCode = exitCodeAfter({ cause: this.stoppedBy });
          return 'interrupted';
        }
        this.screen.say(
          removing === 1 ? 'Removing what was made. Ctrl-C again kills at once.' : 'Killing what was made.',
        );
        await this.deletePods(removing === 2 ? { gracePeriodSeconds: 0 } : {});
      }
      await this.refresh();
      const views = this.show();

      if (removing > 0) {
        if (!(await this.arePodsLeft())) {
          await this.deleteOthers();
          this.screen.clear();
          this.screen.say('Removed.');
          context.exitCode = exitCodeAfter({ cause: this.stoppedBy });
          return 'interrupted';
        }
      } else if (views.length === 0) {
        throw new UserError('the pod was deleted by somebody else');
      } else if (views.every((v) => isFinished(v.pod))) {
        return await this.finish(views);
      } else if (views.every((v) => isFinished(v.pod) || isReady(v.pod))) {
        if (!announced && !views.every((v) => finishes(v.pod)))
          this.screen.say(`Ready after ${this.screen.elapsed()}.`);
        announced = true;
        if (this.options.detach && views.every((v) => isFinished(v.pod) || !finishes(v.pod))) return 'ready';
      }
      const pause = new AbortController();
      const tick = context.clock.sleep(REFRESH_MS, AbortSignal.any([signal, pause.signal])).catch(() => {});
      await Promise.race([changed, tick]);
      pause.abort();
    }
  }

  private viewOf(pod: Pod, before?: PodView): PodView {
    return { events: [], probes: [], ...before, pod, now: this.context.clock.now() };
  }

  private seen(uid: string, pod: Pod | undefined): void {
    this.views.set(uid, pod && this.viewOf(pod, this.views.get(uid)));
    this.show();
    this.wake();
  }

  private heard(uid: string, events: readonly Event[]): void {
    const view = this.views.get(uid);
    if (!view) return;
    this.views.set(uid, { ...view, events, now: this.context.clock.now() });
    this.show();
  }

  /** Shows every state, also one that the next follows at once: lines that are printed once must not leave any out. */
  private show(): PodView[] {
    const views = [...this.views.values()].filter((v) => v !== undefined);
    if (!this.isOver) this.screen.show(views, this.footer);
    return views;
  }

  /** Nothing is shown from here on. */
  private endShow(): void {
    this.isOver = true;
    this.screen.done();
  }

  /** Asks for what nobody tells. What cannot be had now stays as it was. */
  private async refresh(): Promise<void> {
    await Promise.all(
      [...this.views].map(async ([uid, view]) => {
        if (!view) return;
        const [probes, pull] = await Promise.all([
          podProbes(this.context, this.server, view.pod),
          isPulling(view) ? podPull(this.context, this.server, view.pod) : undefined,
        ]);
        // The pod may have changed, or gone, meanwhile.
        const current = this.views.get(uid);
        if (current) this.views.set(uid, { ...current, probes, pull, now: this.context.clock.now() });
      }),
    );
  }

  private async finish(views: readonly PodView[]): Promise<RunEnd> {
    this.endShow();
    for (const { pod } of views) await this.printLogs(pod);
    this.context.exitCode = views.map((v) => exitCodeOf(v.pod)).find((code) => code !== 0) ?? 0;
    return 'finished';
  }

  private async printLogs(pod: Pod): Promise<void> {
    const { name, namespace } = pod.metadata;
    const failedInit = (pod.status?.initContainerStatuses ?? []).filter(
      (s) => (s.state?.terminated?.exitCode ?? 0) !== 0,
    );
    const shown = [...failedInit, ...(pod.status?.containerStatuses ?? [])].filter(
      (s) => s.state?.terminated?.containerID,
    );
    for (const status of shown) {
      const query = new URLSearchParams({ container: status.name, tailLines: String(LOG_LINES) });
      try {
        const path = `${pathOf(PODS, namespace, name, 'log')}?${query}`;
        const response = await this.context.request(this.server, { path });
        const chunks: Uint8Array[] = [];
        for await (const chunk of response.body) chunks.push(chunk);
        if (chunks.length === 0) continue;
        this.context.stdout.write(`--- log of ${name}/${status.name}\n`);
        for (const chunk of chunks) this.context.stdout.write(chunk);
      } catch {
        // A log is a courtesy here: the exit code is what the run is about.
      }
    }
  }

  /** Asks for the deletion of the pods that this run made. */
  private async deletePods(pace: DeletePace): Promise<void> {
    for (const { resource, ...key } of this.madePods()) await this.deleteIfThere(resource, key, pace);
  }

  /** Deletes what is no pod, newest first: it goes after the pods that use it. */
  private async deleteOthers(): Promise<void> {
    for (const { resource, ...key } of this.made.toReversed()) {
      if (resource !== PODS) await this.deleteIfThere(resource, key, {});
    }
  }

  private async deleteIfThere(resource: Resource, key: ObjectKey, pace: DeletePace): Promise<void> {
    await deleteObject(this.client, resource, key, pace).catch((error) => {
      if (!hasReason(error, 'NotFound')) throw error;
    });
  }

  private async arePodsLeft(): Promise<boolean> {
    for (const { resource, uid, ...key } of this.madePods()) {
      if ((await getOrUndefined(this.client.get(resource, key)))?.metadata.uid === uid) return true;
    }
    return false;
  }

  private madePods(): Made[] {
    return this.made.filter((m) => m.resource === PODS);
  }

  private async removeMade(signal: AbortSignal): Promise<void> {
    await this.deletePods({});
    for (const { resource, uid, ...key } of this.madePods()) {
      await waitUntilGone(this.client, resource, key, uid, this.context.clock, signal);
    }
    await this.deleteOthers();
  }
}

/** Where the views go: a terminal that is repainted, or lines that are printed once. */
interface Screen {
  show(views: readonly PodView[], footer: string): void;
  /** A line that stays. */
  say(line: string): void;
  elapsed(): string;
  clear(): void;
  /** What stands there stays. */
  done(): void;
}

class LiveScreen implements Screen {
  private readonly context: CliContext;
  private readonly painter: Painter;
  private readonly startedAt: number;

  constructor(context: CliContext) {
    this.context = context;
    this.painter = new Painter(context.stdout);
    this.startedAt = context.clock.monotonic();
  }

  show(views: readonly PodView[], footer: string): void {
    const width = this.context.stdout.columns ?? 80;
    const style = styleOf(this.context.color);
    const blocks = views.flatMap((view, i) => [...(i === 0 ? [] : ['']), ...renderPod(view, width, style)]);
    this.painter.paint([...blocks, style.dim(shorten(`${this.elapsed()}  ${footer}`, width))]);
  }

  say(line: string): void {
    this.painter.print([line]);
  }

  elapsed(): string {
    return seconds(this.context.clock.monotonic() - this.startedAt);
  }

  clear(): void {
    this.painter.paint([]);
  }

  done(): void {
    this.painter.done();
  }
}

class LineScreen implements Screen {
  private readonly context: CliContext;
  private readonly startedAt: number;
  private before = new Map<string, string>();

  constructor(context: CliContext) {
    this.context = context;
    this.startedAt = context.clock.monotonic();
  }

  show(views: readonly PodView[]): void {
    const facts = new Map(views.flatMap((view) => [...podFacts(view)]));
    for (const [key, text] of facts) if (this.before.get(key) !== text) this.say(text);
    this.before = facts;
  }

  say(line: string): void {
    this.context.stdout.write(`[${this.elapsed().padStart(7)}] ${line}\n`);
  }

  elapsed(): string {
    return seconds(this.context.clock.monotonic() - this.startedAt);
  }

  clear(): void {}

  done(): void {}
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
}

function isFinished(pod: Pod): boolean {
  return isTerminalPhase(pod.status?.phase);
}

function isPulling({ pod }: PodView): boolean {
  const all = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  return all.some((s) => ['ContainerCreating', 'PodInitializing'].includes(s.state?.waiting?.reason ?? ''));
}

/** The exit code of the container that made a finished pod fail; 0 when it succeeded; 1 when the node ended it. */
function exitCodeOf(pod: Pod): number {
  if (pod.status?.phase === 'Succeeded') return 0;
  const failed = (statuses: readonly ContainerStatus[] | undefined): number | undefined =>
    statuses?.map((s) => s.state?.terminated?.exitCode ?? 0).find((code) => code !== 0);
  return failed(pod.status?.initContainerStatuses) ?? failed(pod.status?.containerStatuses) ?? 1;
}
