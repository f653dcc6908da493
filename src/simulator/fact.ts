import type { KubeObject } from '../api/resources.ts';
import type { RuntimeFact } from '../cri/fake-runtime-service.ts';
import type { ProbeType } from '../kubelet/ports.ts';

/** A container, as facts name it. */
export interface ContainerRef {
  readonly podUID: string;
  readonly pod: string;
  readonly container: string;
  readonly containerId: string;
  readonly sandboxId: string;
  readonly attempt: number;
}

export interface SandboxRef {
  readonly podUID: string;
  readonly pod: string;
  readonly sandboxId: string;
  readonly attempt: number;
}

type OfContainer<W extends RuntimeFact['what']> = Omit<Extract<RuntimeFact, { what: W }>, 'containerId' | 'container'> &
  ContainerRef;

type What =
  | ({ readonly what: 'sandboxStarted' | 'sandboxStopped' | 'sandboxRemoved' } & SandboxRef)
  | ({
      readonly what: 'containerCreated' | 'containerStarted' | 'containerNotStarted' | 'containerRemoved';
    } & ContainerRef)
  | OfContainer<'containerSignalled'>
  | OfContainer<'containerExited'>
  | { readonly what: 'imagePulled'; readonly image: string }
  /** One attempt of a probe, as the container saw it. */
  | ({
      readonly what: 'probed';
      readonly probe: ProbeType;
      readonly outcome: string;
      /** When it answers, if that is not at once: perhaps too late. */
      readonly afterMs?: number | undefined;
    } & Omit<ContainerRef, 'attempt'>)
  /** A write that the API server's disk has taken. */
  | {
      readonly what: 'written';
      readonly collection: string;
      readonly key: string;
      readonly revision: number;
      readonly before: KubeObject | undefined;
      /** For a removal, the last state. */
      readonly object: KubeObject;
      readonly removed: boolean;
    }
  /** A write that its caller was told has been done. */
  | {
      readonly what: 'acknowledged';
      readonly collection: string;
      readonly key: string;
      readonly uid: string;
      readonly revision: number;
      readonly removed: boolean;
    }
  /** What an independent watcher of the pods was told. */
  | {
      readonly what: 'watched';
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'listed';
      readonly key: string;
      readonly revision: number;
    }
  | {
      readonly what: 'agentStarted' | 'agentFailed' | 'runtimeDied' | 'runtimeReturned' | 'diskFull' | 'diskFreed';
    }
  /** `at`: before or after which call of it; undefined: between two of them. */
  | { readonly what: 'agentDied'; readonly at: string | undefined }
  /** Everything that the API server holds after a start. */
  | { readonly what: 'loaded'; readonly revision: number; readonly objects: ReadonlyMap<string, KubeObject> }
  | { readonly what: 'powerCut'; readonly lost: readonly number[] }
  | { readonly what: 'wallJumped'; readonly ms: number }
  /** A user deletes a pod; with 0 seconds its object goes at once, whatever still runs. */
  | {
      readonly what: 'deletionAsked';
      readonly podUID: string;
      readonly pod: string;
      readonly graceSeconds: number | undefined;
    }
  /** A fault took hold of something. */
  | { readonly what: 'fault'; readonly name: string }
  | { readonly what: 'logged'; readonly level: 'warn' | 'error'; readonly message: string; readonly fields: string };

/** Something that happened. Facts come in the order in which they happened. */
export type Fact = { readonly atMs: number; readonly node: string } & What;
export type FactBody = What;
