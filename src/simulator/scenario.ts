import type { Pod } from '../api/generated/types.ts';
import type { KubeObject } from '../api/resources.ts';
import type { FakeMethod } from '../cri/fake-runtime-service.ts';
import type { ProbeType } from '../kubelet/ports.ts';

/** For how long probes of a container do not get their usual answer. */
export interface HealthWindow {
  /** Which probe; all of them when absent. */
  readonly probe?: ProbeType;
  /** Counted from the container's start. */
  readonly fromMs: number;
  /** For ever when absent. */
  readonly toMs?: number;
  /** Both count from the beginning of the run instead; a restart in between heals. */
  readonly inRun?: boolean;
  /** It says no; nobody listens; it does not answer; the prober itself fails. */
  readonly answer: 'failure' | 'refused' | 'hang' | 'error';
}

/** What one instance of a container does. By default it runs until SIGTERM, and its probes succeed. */
export interface ContainerScript {
  readonly exitAfterMs?: number;
  readonly exitCode?: number;
  readonly oom?: boolean;
  readonly ignoreSigterm?: boolean;
  readonly stopAfterMs?: number;
  readonly stopExitCode?: number;
  /** The runtime cannot start it. */
  readonly startError?: string;
  readonly health?: readonly HealthWindow[];
  /** How long its answers to probes take; default 2. */
  readonly answerMs?: number;
}

export interface ImageScript {
  /** There from the start. Default: true. */
  readonly present?: boolean;
  /** How long a pull takes. Default 800. */
  readonly pullMs?: number;
  /** How many pulls fail first. */
  readonly failures?: number;
}

/** The calls of the runtime that are broken in random lives. */
export const BREAKABLE_CALLS = [
  'runPodSandbox',
  'stopPodSandbox',
  'removePodSandbox',
  'createContainer',
  'startContainer',
  'stopContainer',
  'removeContainer',
  'containerStatus',
  'podSandboxStatus',
  'listContainers',
  'pullImage',
  'imageStatus',
  'execSync',
] as const satisfies readonly FakeMethod[];

/** The calls of our process that change something. */
export const CHANGING_CALLS = [
  ...['runPodSandbox', 'stopPodSandbox', 'removePodSandbox', 'createContainer', 'startContainer', 'stopContainer'],
  ...['removeContainer', 'pullImage', 'execSync', 'create', 'patch', 'delete'],
];

/** It fails; is carried out without an answer; hangs; is carried out and hangs. */
export const CALL_FAULTS = ['fail', 'loseAnswer', 'hang', 'hangActing'] as const;

/** What happens to the machine, and what its users do. */
export type Action =
  | { readonly atMs: number; readonly do: 'create'; readonly object: KubeObject }
  | {
      readonly atMs: number;
      readonly do: 'delete';
      readonly pod: string;
      readonly namespace?: string;
      readonly graceSeconds?: number;
    }
  /** A container's process ends by itself. */
  | {
      readonly atMs: number;
      readonly do: 'exit';
      readonly pod: string;
      readonly container: string;
      readonly exitCode: number;
      readonly oom?: boolean;
    }
  | { readonly atMs: number; readonly do: 'killSandbox'; readonly pod: string }
  /**
   * Our process dies: at once, after so many more steps of its work, or `before` or `after` the next call of a name. A new one starts
   * `downMs` later.
   */
  | {
      readonly atMs: number;
      readonly do: 'killAgent';
      readonly downMs: number;
      readonly afterSteps?: number;
      readonly at?: string;
    }
  /** The machine loses its power, and with it every process and at most `lostWrites` writes. */
  | { readonly atMs: number; readonly do: 'cutPower'; readonly downMs: number; readonly lostWrites: number }
  | { readonly atMs: number; readonly do: 'killRuntime'; readonly downMs: number }
  /** The next calls of this method fail, are carried out without an answer, or hang. */
  | {
      readonly atMs: number;
      readonly do: 'breakCalls';
      readonly method: FakeMethod;
      readonly count: number;
      readonly how: (typeof CALL_FAULTS)[number];
    }
  /** What happens to the runtime's events for a while. */
  | {
      readonly atMs: number;
      readonly do: 'breakEvents';
      readonly forMs: number;
      readonly how: 'lose' | 'double' | 'delay';
    }
  | { readonly atMs: number; readonly do: 'jumpWall'; readonly ms: number }
  | { readonly atMs: number; readonly do: 'fillDisk'; readonly forMs: number }
  /** All watches of our process end, or must list again. */
  | { readonly atMs: number; readonly do: 'breakWatches'; readonly how: 'end' | 'expire' | 'fail' }
  /** The next writes of our process to the API fail, or succeed without an answer. */
  | {
      readonly atMs: number;
      readonly do: 'breakWrites';
      readonly count: number;
      readonly how: 'conflict' | 'fail' | 'loseAnswer';
    }
  /** What was broken and has not shown yet is whole again: from now on nothing fails any more. */
  | { readonly atMs: number; readonly do: 'mend' };

/** Everything about a run but its objects and its seed. Plain JSON. */
export interface Scenario {
  /** By `POD/CONTAINER`: successive instances; the last one stays. */
  readonly containers?: Readonly<Record<string, readonly ContainerScript[]>>;
  /** By reference. */
  readonly images?: Readonly<Record<string, ImageScript>>;
  /** In any order. */
  readonly actions?: readonly Action[];
  /** How long the run is. */
  readonly durationMs: number;
}

/** The script of a container's instance number `started` (from 0). */
export function scriptOf(scenario: Scenario, pod: string, container: string, started: number): ContainerScript {
  const scripts = scenario.containers?.[`${pod}/${container}`];
  return scripts?.[Math.min(started, scripts.length - 1)] ?? {};
}

/** Whether the window is open to a container that started at `startedAt`; all in ms of the run. */
export function isOpen(
  { fromMs, toMs = Number.POSITIVE_INFINITY, inRun }: HealthWindow,
  startedAt: number,
  now: number,
): boolean {
  const origin = inRun ? 0 : startedAt;
  return now >= origin + fromMs && now < origin + toMs && (!inRun || startedAt <= fromMs);
}

export function isPod(object: KubeObject): object is Pod {
  return object.kind === 'Pod';
}
