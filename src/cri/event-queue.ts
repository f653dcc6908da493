/**
 * Values that are pushed as they happen and read one by one, in order. The iteration ends, without an error, once `signal` has
 * aborted or `end` was called and everything pushed before has been read (nothing more is read after an abort). One reader.
 */
export class EventQueue<T> implements AsyncIterable<T> {
  private readonly signal: AbortSignal;
  private items: T[] = [];
  private ended = false;
  private wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  push(item: T): void {
    if (this.ended || this.signal.aborted) return;
    this.items.push(item);
    this.wake?.();
  }

  /** No further values come. */
  end(): void {
    this.ended = true;
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    const onAbort = (): void => this.wake?.();
    this.signal.addEventListener('abort', onAbort);
    try {
      while (!this.signal.aborted) {
        const items = this.items;
        this.items = [];
        for (const item of items) {
          yield item;
          if (this.signal.aborted) return;
        }
        if (items.length > 0 || this.items.length > 0) continue;
        if (this.ended) return;
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
        this.wake = undefined;
      }
    } finally {
      this.signal.removeEventListener('abort', onAbort);
    }
  }
}
