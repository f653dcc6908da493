import type { Container, Pod } from '../../api/generated/types.ts';
import type { PodSandboxConfig } from '../../cri/generated/cri.ts';
import type { ImageService } from '../../cri/runtime-service.ts';
import type { BackOffEntry } from '../../lib/back-off.ts';
import type { Clock } from '../../lib/clock.ts';
import { isAbort, messageOf } from '../../lib/errors.ts';
import { goDuration } from '../../lib/go-duration.ts';
import type { EventRecorder, ImageManager, Outcome, WaitingReason } from '../ports.ts';
import { afterFailure, backOffEnd, decidePull, isForgotten, type PullPolicy } from './decide-pull.ts';
import { parseImageName } from './image-name.ts';
import { type PullEvent, SharedPulls } from './shared-pulls.ts';

interface FailedPull extends BackOffEntry {
  /** `ErrImagePull: why`, as the waiting message of the back-off quotes it. */
  readonly why: string;
}

type Failure = { readonly ok: false; readonly reason: WaitingReason; readonly message: string };

/** How many (pod, image) pairs are remembered as present. */
const MAX_KNOWN = 2048;

/** What CRI-O's pull errors begin with when the registry does not answer (`cri-api/pkg/errors`). */
const REGISTRY_UNAVAILABLE = 'RegistryUnavailable';

/**
 * Brings images to the machine as the pull policies want it, with the events, waiting reasons and words of Kubernetes 1.36
 * (`pkg/kubelet/images/image_manager.go` and `data/kubelet-traces.json`).
 */
export class CriImageManager implements ImageManager {
  private readonly images: ImageService;
  private readonly clock: Clock;
  private readonly recorder: EventRecorder;
  private readonly pulls: SharedPulls;
  private readonly failed = new Map<string, FailedPull>();
  /** Image references found present, by pod UID and image: a restart asks the runtime nothing. Oldest first. */
  private readonly known = new Map<string, string>();

  constructor(options: {
    readonly images: ImageService;
    readonly clock: Clock;
    readonly recorder: EventRecorder;
    /** Told of each pull's beginning and end, for the screen. */
    readonly onPull?: ((event: PullEvent) => void) | undefined;
  }) {
    this.images = options.images;
    this.clock = options.clock;
    this.recorder = options.recorder;
    this.pulls = new SharedPulls(options.images, options.clock, options.onPull);
  }

  async ensureImage(
    pod: Pod,
    container: Container,
    sandboxConfig: PodSandboxConfig | undefined,
    signal: AbortSignal,
  ): Promise<Outcome<{ imageRef: string }>> {
    const image = container.image ?? '';
    const name = parseImageName(image);
    if (!name.ok) {
      const message = `Failed to apply default image tag ${JSON.stringify(image)}: ${name.message}`;
      return this.refuse(pod, container, 'InvalidImageName', message, 'InspectFailed');
    }
    const policy = pullPolicy(container);
    const knownKey = this.key(pod, name.canonical);
    let imageRef: string | undefined;
    if (policy !== 'Always') {
      try {
        imageRef = this.known.get(knownKey) ?? (await this.images.imageStatus(name.requested, { signal }))?.id;
      } catch (error) {
        if (isAbort(error)) throw error;
        const message = `Failed to inspect image ${JSON.stringify(image)}: ${messageOf(error)}`;
        return this.refuse(pod, container, 'ImageInspectError', message, 'InspectFailed');
      }
    }

    const failedKey = this.key(pod, image);
    const failed = this.failed.get(failedKey);
    const decision = decidePull(policy, imageRef !== undefined, failed, this.clock.monotonic());
    switch (decision.action) {
      case 'use':
        this.remember(knownKey, imageRef!);
        this.event(
          pod,
          container,
          'Normal',
          'Pulled',
          `Container image ${JSON.stringify(image)} already present on machine and can be accessed by the pod`,
        );
        return { ok: true, value: { imageRef: imageRef! } };
      case 'refuse': {
        const message = `Container image ${JSON.stringify(image)} is not present with pull policy of Never`;
        return this.refuse(pod, container, 'ErrImageNeverPull', message, 'ErrImageNeverPull');
      }
      case 'backOff': {
        const message = `Back-off pulling image ${JSON.stringify(image)}`;
        this.event(pod, container, 'Normal', 'BackOff', message);
        return this.fail(pod, container, 'ImagePullBackOff', failed ? `${message}: ${failed.why}` : message);
      }
      case 'pull':
        return this.pull(pod, container, name.requested, knownKey, failedKey, sandboxConfig, signal);
    }
  }

  retryAt(pod: Pod, container: Container): number | undefined {
    const failed = this.failed.get(this.key(pod, container.image ?? ''));
    return failed && backOffEnd(failed);
  }

  /** The runtime no longer has this image (creating a container failed with NOT_FOUND): look again next time. */
  forget(image: string): void {
    const name = parseImageName(image);
    if (!name.ok) return;
    for (const key of this.known.keys()) {
      if (key.endsWith(`/${name.canonical}`)) this.known.delete(key);
    }
  }

  private async pull(
    pod: Pod,
    container: Container,
    requested: string,
    knownKey: string,
    failedKey: string,
    sandboxConfig: PodSandboxConfig | undefined,
    signal: AbortSignal,
  ): Promise<Outcome<{ imageRef: string }>> {
    const quoted = JSON.stringify(container.image ?? '');
    this.event(pod, container, 'Normal', 'Pulling', `Pulling image ${quoted}`);
    const startedAt = this.clock.monotonic();
    try {
      const pulled = await this.pulls.pull(requested, sandboxConfig, signal);
      const inAllMs = this.clock.monotonic() - startedAt;
      const inAll = goDuration(inAllMs);
      // Of a pull that another pod had begun before, only what this one has waited for.
      const took = goDuration(Math.min(pulled.durationMs, inAllMs));
      this.event(
        pod,
        container,
        'Normal',
        'Pulled',
        `Successfully pulled image ${quoted} in ${took} (${inAll} including waiting). Image size: ${pulled.sizeBytes} bytes.`,
      );
      this.failed.delete(failedKey);
      this.remember(knownKey, pulled.imageRef);
      return { ok: true, value: { imageRef: pulled.imageRef } };
    } catch (error) {
      if (isAbort(error)) throw error;
      const now = this.clock.monotonic();
      const why = messageOf(error);
      this.event(pod, container, 'Warning', 'Failed', `Failed to pull image ${quoted}: ${why}`);
      const { reason, message } = explain(container.image ?? '', why);
      for (const [key, old] of this.failed) if (isForgotten(old, now)) this.failed.delete(key);
      this.failed.set(failedKey, {
        ...afterFailure(this.failed.get(failedKey), now),
        why: `${reason}: ${message}`,
      });
      return this.fail(pod, container, reason, message);
    }
  }

  /** Ends with `message` as an event of its own (reason `event`) besides the one that every failure has. */
  private refuse(pod: Pod, container: Container, reason: WaitingReason, message: string, event: string): Failure {
    this.event(pod, container, 'Warning', event, message);
    return this.fail(pod, container, reason, message);
  }

  private fail(pod: Pod, container: Container, reason: WaitingReason, message: string): Failure {
    this.event(pod, container, 'Warning', 'Failed', `Error: ${reason}`);
    return { ok: false, reason, message };
  }

  private event(pod: Pod, container: Container, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.recorder.event(pod, type, reason, message, container.name);
  }

  private key(pod: Pod, image: string): string {
    return `${pod.metadata.uid}/${image}`;
  }

  private remember(key: string, imageRef: string): void {
    this.known.delete(key);
    this.known.set(key, imageRef);
    if (this.known.size > MAX_KNOWN) this.known.delete(this.known.keys().next().value!);
  }
}

/** The policy, with the API server's default for objects that did not pass through it. */
function pullPolicy(container: Container): PullPolicy {
  if (container.imagePullPolicy) return container.imagePullPolicy;
  const name = parseImageName(container.image ?? '');
  return name.ok && name.canonical.endsWith(':latest') ? 'Always' : 'IfNotPresent';
}

function explain(image: string, why: string): { reason: WaitingReason; message: string } {
  if (!why.startsWith(REGISTRY_UNAVAILABLE)) return { reason: 'ErrImagePull', message: why };
  const rest = why.slice(REGISTRY_UNAVAILABLE.length);
  const message = `image pull failed for ${image} because the registry is unavailable${rest}`;
  return { reason: 'RegistryUnavailable', message };
}
