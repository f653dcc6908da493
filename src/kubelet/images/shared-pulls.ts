import type { PodSandboxConfig } from '../../cri/generated/cri.ts';
import type { ImageService } from '../../cri/runtime-service.ts';
import type { Clock } from '../../lib/clock.ts';
import { abortReason } from '../../lib/errors.ts';

/** A pull as the screen shows it. */
export interface PullEvent {
  /** As the runtime is asked for it. */
  readonly image: string;
  /** `waiting`: other pulls go first. `stopped`: nobody wanted it any more. */
  readonly phase: 'waiting' | 'pulling' | 'pulled' | 'failed' | 'stopped';
}

export interface PulledImage {
  readonly imageRef: string;
  readonly sizeBytes: bigint;
  /** How long the pull itself took, ms, without waiting for its turn. */
  readonly durationMs: number;
}

interface Pull {
  waiters: number;
  readonly controller: AbortController;
  readonly result: Promise<PulledImage>;
}

/** How many pulls run at once: enough to use the line, few enough for the first image to come soon. */
const MAX_PARALLEL = 4;
/** Longer than any pull: the user cancels, not we. */
const PULL_TIMEOUT_MS = 6 * 3_600_000;

/** Pulls each image once, however many containers wait for it, and only so many at the same time. */
export class SharedPulls {
  private readonly images: ImageService;
  private readonly clock: Clock;
  private readonly onPull: (event: PullEvent) => void;
  private readonly pulls = new Map<string, Pull>();
  private running = 0;
  private readonly queue: (() => void)[] = [];

  constructor(images: ImageService, clock: Clock, onPull: (event: PullEvent) => void = () => {}) {
    this.images = images;
    this.clock = clock;
    this.onPull = onPull;
  }

  /**
   * Pulls, or joins the pull that is under way. Rejects with `CriError`, or, when the signal aborts, with an AbortError; the pull
   * itself ends when its last waiter leaves.
   */
  pull(image: string, sandboxConfig: PodSandboxConfig | undefined, signal: AbortSignal): Promise<PulledImage> {
    if (signal.aborted) return Promise.reject(abortReason(signal));
    let pull = this.pulls.get(image);
    if (!pull) {
      const controller = new AbortController();
      pull = { waiters: 0, controller, result: this.run(image, sandboxConfig, controller.signal) };
      const mine = pull;
      const done = (): void => this.drop(image, mine);
      pull.result.then(done, done);
      this.pulls.set(image, pull);
    }
    return this.wait(image, pull, signal);
  }

  private wait(image: string, pull: Pull, signal: AbortSignal): Promise<PulledImage> {
    pull.waiters++;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        signal.removeEventListener('abort', onAbort);
        if (--pull.waiters === 0) this.drop(image, pull);
      };
      const onAbort = (): void => {
        leave();
        if (pull.waiters === 0) pull.controller.abort();
        reject(abortReason(signal));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const settle = (then: () => void): void => {
        if (signal.aborted) return;
        leave();
        then();
      };
      pull.result.then(
        (value) => settle(() => resolve(value)),
        (error: unknown) => settle(() => reject(error)),
      );
    });
  }

  private drop(image: string, pull: Pull): void {
    if (this.pulls.get(image) === pull) this.pulls.delete(image);
  }

  private async run(
    image: string,
    sandboxConfig: PodSandboxConfig | undefined,
    signal: AbortSignal,
  ): Promise<PulledImage> {
    if (this.running >= MAX_PARALLEL) {
      this.onPull({ image, phase: 'waiting' });
      await new Promise<void>((resolve) => this.queue.push(resolve));
    } else {
      this.running++;
    }
    try {
      if (signal.aborted) throw abortReason(signal);
      this.onPull({ image, phase: 'pulling' });
      const startedAt = this.clock.monotonic();
      const imageRef = await this.images.pullImage(image, sandboxConfig, { signal, timeoutMs: PULL_TIMEOUT_MS });
      const durationMs = this.clock.monotonic() - startedAt;
      const sizeBytes = (await this.images.imageStatus(imageRef, { signal }))?.size ?? 0n;
      this.onPull({ image, phase: 'pulled' });
      return { imageRef, sizeBytes, durationMs };
    } catch (error) {
      this.onPull({ image, phase: signal.aborted ? 'stopped' : 'failed' });
      throw error;
    } finally {
      // The place is handed to the next in the queue, so that `running` never drops in between.
      const next = this.queue.shift();
      if (next) next();
      else this.running--;
    }
  }
}
