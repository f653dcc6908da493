import type { ProbeType } from '../../kubelet/ports.ts';
import type { HealthWindow } from '../scenario.ts';
import type { PodAdvice } from './lint-pod.ts';
import type { ReactionTimes } from './reaction-times.ts';

/**
 * What will happen, as `kubelette simulate -o json` prints it. All times are whole milliseconds since the objects were created. The
 * shape is stable: `version` changes when a field goes or changes its meaning; new fields may come without.
 */
export interface Forecast {
  readonly version: 1;
  /** How long was looked ahead. Then everything is deleted, to see how long that takes. */
  readonly forMs: number;
  readonly pods: readonly PodForecast[];
  readonly containers: readonly ContainerForecast[];
  /** What clients see, of each Service and of each pod that no Service selects. */
  readonly clients: readonly ClientForecast[];
  /** Everything that happens, in order. */
  readonly steps: readonly Step[];
  readonly reactions: readonly ReactionTimes[];
  /** What of the scenario had no effect, and why; sentences. */
  readonly notes: readonly string[];
  readonly warnings: readonly PodAdvice[];
}

export interface PodForecast {
  readonly namespace: string;
  readonly pod: string;
  /** In the end, before it is deleted. */
  readonly phase: string;
  readonly ready: boolean;
  /** When it was Ready first. */
  readonly readyAtMs?: number;
  readonly restarts: number;
  readonly deletion?: {
    readonly askedAtMs: number;
    readonly goneAtMs?: number;
    /** How long it takes when its processes ignore SIGTERM: its grace period, 0 when none runs. */
    readonly atMostMs: number;
  };
}

/** What a container does at a time; between, it is not there. */
export type LaneState = 'pulling' | 'init' | 'running' | 'ready' | 'stopping' | 'backOff';

export interface LaneSegment {
  readonly fromMs: number;
  readonly toMs: number;
  readonly state: LaneState;
}

export interface ContainerForecast {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly init: boolean;
  readonly restarts: number;
  readonly segments: readonly LaneSegment[];
}

/** What a container's endpoint answers. */
export type ProbeOutcome = 'success' | HealthWindow['answer'];

export type StepKind =
  | 'created'
  | 'pulling'
  | 'pulled'
  | 'started'
  | 'exited'
  | 'probe'
  | 'containerReady'
  | 'containerNotReady'
  | 'ready'
  | 'notReady'
  | 'routed'
  | 'unrouted'
  | 'killing'
  | 'backOff'
  | 'finished'
  | 'problem'
  | 'deletion'
  | 'gone'
  | 'agentDied'
  | 'agentStarted'
  | 'runtimeDied'
  | 'runtimeReturned';

export interface Step {
  readonly atMs: number;
  readonly kind: StepKind;
  /** In words. */
  readonly text: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly container?: string;
  readonly service?: string;
  /** Of `started`: how many instances there were before. */
  readonly restart?: number;
  /** Of `exited`. */
  readonly exitCode?: number;
  /** Of `exited`: it was told to. */
  readonly asked?: boolean;
  /** Of `backOff`: when the next try is due. */
  readonly untilMs?: number;
  /** Of `probe`. */
  readonly probe?: ProbeStep;
}

export interface ProbeStep {
  readonly type: ProbeType;
  readonly outcome: ProbeOutcome;
  /** False for a refused connection in the first second of a container's life, and for a probe that could not be made. */
  readonly counts: boolean;
  /** How many results in a row say the same, this one included, and how many it takes to matter. */
  readonly streak: number;
  readonly threshold: number;
  readonly periodMs: number;
}

export interface ClientForecast {
  readonly namespace: string;
  /** `service/NAME`; or `pod/NAME`, as if a Service selected this pod alone. */
  readonly target: string;
  /** When a request would have succeeded first. */
  readonly servedAtMs?: number;
  /** Since then, until the end: when requests fail, and which part of them (0 to 1). */
  readonly errors: readonly { readonly fromMs: number; readonly toMs: number; readonly share: number }[];
  /** The sum of those times, each weighted by its part. */
  readonly errorMs: number;
}
