/** What is measured by turns, each sample in milliseconds. Nothing of a sample is left when its call resolves. */
export interface Starts {
  /** Five init containers and an app: accepted to the app running. */
  readonly chain: Sampler;
  /** A pod of one container: accepted to running. */
  readonly plain: Sampler;
  /** A web server with an httpGet readiness probe, period 1 s: accepted to Ready. */
  readonly ready: Sampler;
  /** A container exits by itself: exit to its successor running. */
  readonly restart: Sampler;
  /** A liveness check fails: its answer to the new container running. */
  readonly liveness: Sampler;
}

export type Sampler = (() => Promise<number>) | Cannot;

/** Why a contender has no figure. */
export class Cannot {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Who is measured. Each lives in a directory of its own and leaves nothing on the host. */
export interface Contender {
  readonly name: string;
  /** It is somebody else's: when it fails, its figure is missing and the rest goes on. */
  readonly isForeign: boolean;
  /** Offers what follows from now on, with the image present. */
  start(): Promise<void>;
  /** Removes all of it, in whatever state it is. Idempotent. */
  stop(): Promise<void>;
  readonly starts: Starts;
  /** Makes so many pods at once, each a web server with a readiness probe a second: milliseconds until all are Ready. They stay. */
  readonly crowd: ((count: number) => Promise<number>) | Cannot;
  /** The processes that it is, container runtimes and containers left out where those are the same for all. */
  readonly pids: (() => number[]) | Cannot;
  /** More than that take minutes, and say nothing new. */
  readonly largestCrowd?: number;
  /** Why what it does in a crowd is not what the others do. */
  readonly crowdDiffers?: Cannot;
}
