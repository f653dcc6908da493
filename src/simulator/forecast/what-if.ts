import type { Pod } from '../../api/generated/types.ts';
import { parseImageName } from '../../kubelet/images/image-name.ts';
import { probeSettings } from '../../kubelet/prober/probe-schedule.ts';
import { effectiveRestartPolicy } from '../../kubelet/sync/restart-policy.ts';
import type { Action, ContainerScript, HealthWindow, ImageScript, Scenario } from '../scenario.ts';
import { sleepMsOf } from '../sleep-ms-of.ts';
import type { PodTargets, Target } from './pod-targets.ts';

/** What is assumed of a container. */
export interface ContainerWhatIf {
  /** Nobody listens, and no command succeeds, for so long after each start. */
  startsAfterMs?: number;
  /** It ends by itself so long after its start. */
  runsForMs?: number;
  /** Of that end. */
  exitCode?: number;
  /** So many instances fail first, each when it has run for `runsForMs`. */
  fails?: number;
  /** How long it takes to end after SIGTERM. */
  stopsInMs?: number;
  stopExitCode?: number;
  ignoresSigterm?: boolean;
  answersInMs?: number;
  readonly health: HealthWindow[];
}

/** An init container of which nothing is known takes so long: what its command sleeps, or this. */
const INIT_MS = 1000;
/** A container that fails, and of which nothing else is known, does so after that. */
const FAILS_AFTER_MS = 1000;
const SHORTEST_MS = 60_000;
const LONGEST_MS = 3_600_000;
const ROUND_MS = 10_000;
/** For what comes after the last that is known beforehand. */
const MARGIN_MS = 30_000;

/** What is assumed of a run, gathered from flags and scenario files; later ones win. */
export class WhatIf {
  forMs: number | undefined;
  /** By what the runtime is asked for; see `imageOf`. */
  readonly images: Record<string, ImageScript> = {};
  readonly actions: Action[] = [];
  private readonly containers = new Map<string, ContainerWhatIf>();

  /** To be changed by whoever knows something about this container. */
  of({ key }: Pick<Target, 'key'>): ContainerWhatIf {
    const known = this.containers.get(key) ?? { health: [] };
    this.containers.set(key, known);
    return known;
  }

  /** How long nobody listens after each start of the container; undefined when nothing was said about that. */
  startsAfterMs({ key }: Pick<Target, 'key'>): number | undefined {
    return this.containers.get(key)?.startsAfterMs;
  }

  /**
   * The simulator's scenario: what each instance of each container does, and what else happens.
   * @param originMs when the objects are created: what counts from the beginning of the run counts from there
   */
  scenario(targets: PodTargets, originMs: number): Omit<Scenario, 'durationMs'> {
    const used = new Set(targets.containers.map(imageOf));
    const images = Object.fromEntries([...used].map((image) => [image, this.images[image] ?? { present: false }]));
    const containers = Object.fromEntries(targets.containers.map((t) => [t.key, this.scripts(t, originMs)]));
    const actions = this.actions.map((action) => ({ ...action, atMs: action.atMs + originMs }));
    return { containers, images, actions };
  }

  private scripts(target: Target, originMs: number): ContainerScript[] {
    const known: ContainerWhatIf = this.containers.get(target.key) ?? { health: [] };
    const { startsAfterMs = 0, fails = 0, stopsInMs, stopExitCode, ignoresSigterm, answersInMs } = known;
    const ownMs = target.init ? initMs(target) : undefined;
    const runsForMs = known.runsForMs ?? ownMs;
    const health = known.health.map((window) => (window.inRun ? shifted(window, originMs) : window));
    if (startsAfterMs > 0) health.unshift({ fromMs: 0, toMs: startsAfterMs, answer: 'refused' });
    const always: ContainerScript = {
      ...(stopsInMs === undefined ? {} : { stopAfterMs: stopsInMs }),
      ...(stopExitCode === undefined ? {} : { stopExitCode }),
      ...(ignoresSigterm ? { ignoreSigterm: true } : {}),
      ...(answersInMs === undefined ? {} : { answerMs: answersInMs }),
      health,
    };
    const failing = { ...always, exitAfterMs: runsForMs ?? FAILS_AFTER_MS, exitCode: known.exitCode || 1 };
    // What fails until it no longer does runs on then, unless it is there to end.
    const runsOn = runsForMs === undefined || (fails > 0 && !isToEnd(target));
    const usual = runsOn
      ? always
      : { ...always, exitAfterMs: runsForMs, exitCode: fails > 0 ? 0 : (known.exitCode ?? 0) };
    return [...Array.from({ length: fails }, () => failing), usual];
  }

  /** How long to look ahead when nobody says: until what was assumed has had its consequences. */
  horizonMs(targets: PodTargets): number {
    if (this.forMs !== undefined) return this.forMs;
    const pods = targets.pods.map((pod) => this.settlesAfterMs(targets, pod));
    const reaction = Math.max(0, ...targets.containers.map(reactionMs));
    const actions = this.actions.map((a) => a.atMs + ('downMs' in a ? a.downMs : 0) + reaction);
    const windows = [...this.containers.values()].flatMap(({ health }) =>
      health.map(({ fromMs, toMs }) => (toMs ?? fromMs) + reaction),
    );
    const last = Math.max(...pods, ...actions, ...windows, 0) + MARGIN_MS;
    // Of what the API server will refuse.
    if (!Number.isFinite(last)) return SHORTEST_MS;
    return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, Math.ceil(last / ROUND_MS) * ROUND_MS));
  }

  private settlesAfterMs(targets: PodTargets, pod: Pod): number {
    let ms = 0;
    for (const target of targets.containers.filter((t) => t.pod === pod)) {
      const { runsForMs, startsAfterMs = 0, fails = 0 } = this.containers.get(target.key) ?? {};
      const once = runsForMs ?? (target.init ? initMs(target) : fails > 0 ? FAILS_AFTER_MS : 0);
      // Back-offs of 10 s, 20 s, 40 s and so on, the first retry at once.
      const backOffs = Array.from({ length: Math.max(0, fails - 1) }, (_, i) => Math.min(300_000, 10_000 * 2 ** i));
      ms += once * (fails + 1) + backOffs.reduce((sum, delay) => sum + delay, 0) + startsAfterMs;
      ms += this.images[imageOf(target)]?.pullMs ?? 0;
    }
    return ms + Math.max(0, ...targets.containers.filter((t) => t.pod === pod).map(reactionMs));
  }
}

/** What the runtime is asked for: the image's name with its tag. */
export function imageOf({ container }: Pick<Target, 'container'>): string {
  return requestedName(String(container.image ?? ''));
}

/** An image's name with its tag; as it is when it is no name, which the kubelet will say. */
export function requestedName(image: string): string {
  const name = parseImageName(image);
  return name.ok ? name.requested : image;
}

function shifted({ fromMs, toMs, ...window }: HealthWindow, ms: number): HealthWindow {
  return { ...window, fromMs: fromMs + ms, ...(toMs === undefined ? {} : { toMs: toMs + ms }) };
}

function initMs({ container }: Target): number {
  const words = [...(container.command ?? []), ...(container.args ?? [])];
  return Array.isArray(container.command) || Array.isArray(container.args) ? sleepMsOf(words) || INIT_MS : INIT_MS;
}

/** Whether it is done when it has succeeded. */
function isToEnd({ pod, container, init }: Target): boolean {
  return init || effectiveRestartPolicy(pod, container) !== 'Always';
}

/** Until the slowest chain of a container's probes has had its say. */
function reactionMs({ container }: Target): number {
  const [startup, liveness, readiness] = (['startup', 'liveness', 'readiness'] as const).map((type) => {
    const probe = container[`${type}Probe`];
    if (!probe) return 0;
    const { initialDelayMs, periodMs, failureThreshold, timeoutMs } = probeSettings(probe);
    return initialDelayMs + periodMs * failureThreshold + timeoutMs;
  });
  return startup! + Math.max(liveness!, readiness!);
}
