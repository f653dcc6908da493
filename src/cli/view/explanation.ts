/**
 * Everything that can keep a pod from being Ready (or that explains how it ended). A closed set: whoever shows or counts causes
 * can switch over it. The names of waiting reasons are kept where Kubernetes has one.
 */
export type CauseKind =
  // the pod as a whole
  | 'NotAccepted'
  | 'Unschedulable'
  | 'Starting'
  | 'SandboxFailed'
  | 'VolumeNotReady'
  | 'ReadinessGate'
  | 'Terminating'
  | 'Finalizers'
  | 'DeadlineExceeded'
  | 'Rejected'
  | 'PodFailed'
  // before a container runs
  | 'ImagePulling'
  | 'ImagePullFailed'
  | 'ImageNotPresent'
  | 'ImageNameInvalid'
  | 'ConfigMissing'
  | 'CreateFailed'
  | 'StartFailed'
  | 'PostStartHookFailed'
  | 'ContainerCreating'
  // init containers
  | 'InitRunning'
  // while it runs
  | 'StartupProbe'
  | 'ReadinessProbe'
  | 'LivenessFailing'
  | 'ProbeBroken'
  | 'NotReadyYet'
  // after it ran
  | 'LivenessKilled'
  | 'StartupKilled'
  | 'OOMKilled'
  | 'CrashLoop'
  | 'Ended'
  // a reason that is not Kubernetes' own
  | 'Waiting';

export interface Cause {
  readonly kind: CauseKind;
  /** The container concerned; undefined when it is the pod's affair. */
  readonly container?: string | undefined;
  /** One clause in plain words: "container app waits for its readiness probe". */
  readonly text: string;
  /** The facts it rests on. */
  readonly evidence: readonly string[];
  /** What the user can do about it, if there is something. */
  readonly advice?: string | undefined;
}

export interface Explanation {
  /** `waiting`: goes on by itself. `failing`: something has to be mended, or is being retried. */
  readonly verdict: 'ready' | 'waiting' | 'failing' | 'terminating' | 'succeeded' | 'failed';
  /** One sentence. */
  readonly headline: string;
  /** The most important first. For a ready pod: what is worth knowing all the same. */
  readonly causes: readonly Cause[];
}

/** Kinds that do not go away by waiting a moment. */
const FAILING: ReadonlySet<CauseKind> = new Set<CauseKind>([
  'Unschedulable',
  'SandboxFailed',
  'VolumeNotReady',
  'ImagePullFailed',
  'ImageNotPresent',
  'ImageNameInvalid',
  'ConfigMissing',
  'CreateFailed',
  'StartFailed',
  'PostStartHookFailed',
  'ProbeBroken',
  'LivenessKilled',
  'StartupKilled',
  'OOMKilled',
  'CrashLoop',
]);

export function isFailing(kind: CauseKind): boolean {
  return FAILING.has(kind);
}
