import type { Container, Pod } from '../../api/generated/types.ts';
import { isSidecar } from '../../api/pod-resources.ts';
import { CriError } from '../../cri/cri-error.ts';
import type { ContainerConfig, PodSandboxConfig } from '../../cri/generated/cri.ts';
import { isAbort, messageOf } from '../../lib/errors.ts';
import { containerHash } from '../container-hash.ts';
import { HookError } from '../hooks/hook-runner.ts';
import type { KubeletParts } from '../kubelet-parts.ts';
import { OWNER_LABEL } from '../pleg/pleg.ts';
import type { ContainerConfigInput, EnvironmentInput, Outcome, WaitingReason } from '../ports.ts';
import { ANNOTATIONS } from '../runtime-status.ts';

/** A container could not be brought up: what its status shows, and what the event of it, if any is due, has said already. */
export class ContainerFailure extends Error {
  override readonly name = 'ContainerFailure';
  readonly reason: WaitingReason;

  constructor(reason: WaitingReason, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}

/** Upstream's minimumGracePeriodInSeconds: nobody is killed without a chance. */
const MIN_GRACE_SECONDS = 2;
/** How much longer than its grace period a stop may take before we stop believing in it. */
const STOP_MARGIN_MS = 120_000;

/** How long a start call of an agent before us is waited for: 10 s. */
const START_TRIES = 100;
const START_RETRY_MS = 100;

/** What is done to single containers, with the events that tell of it. Decides nothing. */
export class ContainerOperations {
  private readonly parts: KubeletParts;
  /** The environment of what was created and has not been started, by id. */
  private readonly environments = new Map<string, string>();

  constructor(parts: KubeletParts) {
    this.parts = parts;
  }

  async sandboxConfig(pod: Pod, attempt: number): Promise<PodSandboxConfig> {
    const { traces, configs } = this.parts;
    const subject = { podUID: pod.metadata.uid ?? '', sandbox: true };
    const config = await traces.measure(subject, 'sandbox config', () => configs.sandboxConfig(pod, attempt));
    return { ...config, labels: { ...config.labels, [OWNER_LABEL]: this.parts.owner } };
  }

  /** The config of a container, and the files that it names. */
  config(input: ContainerConfigInput): Promise<Outcome<ContainerConfig>> {
    const { traces, configs } = this.parts;
    const { pod, container, restartCount } = input;
    const subject = { podUID: pod.metadata.uid ?? '', container: container.name, restartCount };
    return traces.measure(subject, 'container config', () => configs.containerConfig(input));
  }

  /**
   * @param early its config, if it was made ahead: it is used unless the environment would be another one by now
   * @returns the new container's id. @throws ContainerFailure
   */
  async create(
    input: ContainerConfigInput,
    sandbox: { readonly id: string; readonly config: PodSandboxConfig },
    early: Outcome<ContainerConfig> | undefined,
  ): Promise<string> {
    const { pod, container, restartCount, imageRef } = input;
    const isFit = early?.ok && (await this.environment(input)) === textOf(early.value);
    const made = isFit ? early : await this.config(input);
    if (!made.ok) throw this.failed(pod, container, made.reason, made.message);
    const hash = containerHash(container);
    const config: ContainerConfig = {
      ...made.value,
      annotations: {
        ...made.value.annotations,
        [ANNOTATIONS.hash]: hash,
        [ANNOTATIONS.restartCount]: String(restartCount),
      },
    };
    let id: string;
    try {
      id = await this.parts.runtime.createContainer(sandbox.id, config, sandbox.config);
    } catch (error) {
      // Somebody removed the image behind our back.
      if (error instanceof CriError && error.code === 'NOT_FOUND') this.parts.images.forget(container.image ?? '');
      // The name may be taken by what an agent before us began.
      void this.parts.pleg.relist();
      throw this.failed(pod, container, 'CreateContainerError', messageOf(error), error);
    }
    this.environments.set(id, textOf(config));
    this.parts.pleg.containerCreated(pod.metadata.uid ?? '', {
      id,
      name: container.name,
      sandboxId: sandbox.id,
      restartCount,
      hash,
      image: container.image ?? '',
      imageRef,
    });
    this.event(pod, container, 'Normal', 'Created', 'Container created');
    return id;
  }

  /**
   * Whether a container that was created ahead of its turn would be given the same environment today: Services and ConfigMaps may have
   * come meanwhile, which is what init containers wait for. Of those that an agent before us created nobody knows; they count as fit,
   * once they have the pod's addresses.
   */
  async isFit(id: string, pod: Pod, container: Container, podIPs: readonly string[]): Promise<boolean> {
    const was = this.environments.get(id);
    if (was !== undefined) return (await this.environment({ pod, container, podIPs })) === was;
    this.parts.configs.writeHosts(pod, podIPs);
    return true;
  }

  /** The environment that a container would be given now, as text; undefined when it could have none. */
  private async environment(input: EnvironmentInput): Promise<string | undefined> {
    const now = await this.parts.configs.environment(input);
    return now && JSON.stringify([...now]);
  }

  /** Removes a container that was created and must not be started. */
  async discard(id: string): Promise<void> {
    await this.parts.runtime.removeContainer(id);
    this.environments.delete(id);
    this.parts.pleg.containerRemoved(id);
  }

  /** Starts a created container; its postStart hook included. @throws ContainerFailure */
  async start(
    pod: Pod,
    container: Container,
    id: string,
    podIP: string | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { pleg, hooks, traces } = this.parts;
    try {
      // Nobody waits for an init container to run, but for its end.
      const isAwaited = !pod.spec.initContainers?.includes(container) || isSidecar(container);
      await pleg.whileStarting(id, () => this.callStart(id), isAwaited);
      this.environments.delete(id);
    } catch (error) {
      // What is left of it says why; it counts as an instance that ended.
      await pleg.refresh(id);
      // Another start call, of an agent that died meanwhile, had come to nothing before ours.
      if (/ in CONTAINER_EXITED state/.test(messageOf(error))) return;
      throw this.failed(pod, container, 'RunContainerError', messageOf(error), error);
    }
    // The question first: its answer is what the pod's status waits for.
    const told = pleg.containerStarted(id);
    this.event(pod, container, 'Normal', 'Started', 'Container started');
    await told;
    if (!container.lifecycle?.postStart) return;
    try {
      const hook = () => hooks.run(pod, container, id, 'postStart', podIP, signal);
      await traces.measure(traces.subjectOf(id), 'postStart hook', hook);
    } catch (error) {
      if (isAbort(error)) throw error;
      // The event says no more than that: what the hook printed may hold secrets.
      this.event(pod, container, 'Warning', 'FailedPostStartHook', 'PostStartHook failed');
      throw new ContainerFailure('PostStartHookError', hookDetail(error), { cause: error });
    }
  }

  /**
   * The start call of an agent that was killed may still be under way: containerd then refuses ours until it has carried out the other
   * one, or taken it back.
   */
  private async callStart(id: string): Promise<void> {
    const { runtime, clock } = this.parts;
    for (let tries = 1; ; tries++) {
      try {
        return await runtime.startContainer(id);
      } catch (error) {
        const words = messageOf(error);
        if (/ in CONTAINER_RUNNING state/.test(words)) return;
        if (!/ already in starting state/.test(words) || tries === START_TRIES) throw error;
        await clock.sleep(START_RETRY_MS);
      }
    }
  }

  /**
   * Stops a container as Kubernetes does: event `Killing`, preStop (it uses up the grace period), its turn, then the signal
   * with what is left of the grace period, at least 2 s. Resolves once it has stopped. Aborting stops waiting, no more.
   */
  async kill(input: {
    readonly pod: Pod;
    readonly container: Container | undefined;
    readonly id: string;
    readonly name: string;
    /** Text of the event; none when it has been told before. */
    readonly message: string | undefined;
    readonly graceSeconds: number;
    readonly runPreStop: boolean;
    readonly podIP: string | undefined;
    /** Resolves when others have stopped that must stop first. */
    readonly turn?: Promise<unknown> | undefined;
    readonly signal: AbortSignal;
  }): Promise<void> {
    const { pod, container, id, name, graceSeconds, signal } = input;
    const { clock, runtime, pleg, recorder, hooks } = this.parts;
    if (input.message !== undefined) recorder.event(pod, 'Normal', 'Killing', input.message, name);
    const startedAt = clock.monotonic();
    const leftSeconds = (): number => graceSeconds - Math.floor((clock.monotonic() - startedAt) / 1000);
    if (container?.lifecycle?.preStop && input.runPreStop && graceSeconds > 0) {
      try {
        await this.within(graceSeconds * 1000, signal, (limited) =>
          hooks.run(pod, container, id, 'preStop', input.podIP, limited),
        );
      } catch (error) {
        if (signal.aborted) throw error;
        if (!isAbort(error)) this.event(pod, container, 'Warning', 'FailedPreStopHook', 'PreStopHook failed');
      }
    }
    const { turn } = input;
    if (turn && leftSeconds() > 0) {
      try {
        await this.within(leftSeconds() * 1000, signal, (limited) => Promise.race([turn, aborted(limited)]));
      } catch (error) {
        if (signal.aborted) throw error;
      }
    }
    const seconds = Math.max(MIN_GRACE_SECONDS, leftSeconds());
    const stop = runtime.stopContainer(id, seconds, { signal, timeoutMs: seconds * 1000 + STOP_MARGIN_MS });
    await this.within(seconds * 1000 + STOP_MARGIN_MS, signal, (limited) => Promise.race([stop, aborted(limited)]));
    if (pleg.isRunning(id)) await pleg.refresh(id);
  }

  /** Runs `work` with a signal that also aborts after `ms`. */
  private async within<T>(ms: number, signal: AbortSignal, work: (limited: AbortSignal) => Promise<T>): Promise<T> {
    const limit = new AbortController();
    const timer = this.parts.clock.setTimer(ms, () => limit.abort());
    try {
      return await work(AbortSignal.any([signal, limit.signal]));
    } finally {
      timer.cancel();
    }
  }

  private failed(pod: Pod, container: Container, reason: WaitingReason, message: string, cause?: unknown): Error {
    // A runtime that is away is no fault of the container.
    if (cause instanceof CriError && cause.retriable) return cause;
    this.event(pod, container, 'Warning', 'Failed', `Error: ${message}`);
    return new ContainerFailure(reason, message, { cause });
  }

  private event(pod: Pod, container: Container, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.parts.recorder.event(pod, type, reason, message, container.name);
  }
}

/** A config's environment as text. */
function textOf({ envs }: ContainerConfig): string {
  return JSON.stringify(envs.map(({ key, value }) => [key, value]));
}

function hookDetail(error: unknown): string {
  return error instanceof HookError ? error.detail : messageOf(error);
}

/** Rejects when the signal aborts; never resolves. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(new DOMException('This operation was aborted', 'AbortError'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
