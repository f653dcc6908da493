import type { RuntimeService } from '../../src/cri/runtime-service.ts';

interface TaskEvent {
  readonly type: 'containerStarted' | 'containerExited';
  readonly at: number;
  readonly containerId: string;
}

/** When containers start and exit, as containerd tells it: the same watch for everybody who uses containerd. */
export class TaskTimes {
  /** Resolves once every event from then on is seen. */
  readonly ready: Promise<void>;
  private readonly stopping = new AbortController();
  private readonly listening: Promise<void>;
  private events: TaskEvent[] = [];
  private waiters: (() => void)[] = [];

  constructor(runtime: RuntimeService) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.listening = this.listen(runtime, resolve);
  }

  /** The first such event after `since` (of `performance.now()`), which may be past already. */
  async next(type: TaskEvent['type'], since: number): Promise<TaskEvent> {
    return await this.first((event) => event.type === type && event.at > since);
  }

  /** Resolves once this container has exited, with when that was told. */
  async exitOf(containerId: string): Promise<number> {
    const exit = await this.first((event) => event.type === 'containerExited' && event.containerId === containerId);
    return exit.at;
  }

  /** When this container started, if it did. */
  startOf(containerId: string): number | undefined {
    return this.events.find((event) => event.type === 'containerStarted' && event.containerId === containerId)?.at;
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.listening;
  }

  /** The first such event, seen or to come. */
  private async first(isWanted: (event: TaskEvent) => boolean): Promise<TaskEvent> {
    for (;;) {
      const found = this.events.find(isWanted);
      if (found) return found;
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  private async listen(runtime: RuntimeService, onReady: () => void): Promise<void> {
    for await (const event of runtime.events(this.stopping.signal)) {
      if (event.type === 'resync') onReady();
      if (event.type !== 'containerStarted' && event.type !== 'containerExited') continue;
      this.events = [...this.events.slice(-999), { ...event, at: performance.now() }];
      for (const wake of this.waiters.splice(0)) wake();
    }
  }
}
