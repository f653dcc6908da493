import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The server that liveness probes ask, so that we know when a check fails. */
export class HealthServer {
  private readonly server = createServer((request, response) => {
    const path = request.url!;
    const status = this.failing.delete(path) ? 500 : 200;
    const waiters = this.waiters.get(path) ?? [];
    this.waiters.delete(path);
    response.writeHead(status, { connection: 'close' }).end(() => {
      for (const wake of waiters) wake(performance.now());
    });
  });
  private readonly failing = new Set<string>();
  private readonly waiters = new Map<string, ((at: number) => void)[]>();

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async start(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  close(): void {
    this.server.close();
  }

  /** Resolves with when the next check of this path was answered. */
  answered(path: string): Promise<number> {
    return new Promise((resolve) => this.waiters.set(path, [...(this.waiters.get(path) ?? []), resolve]));
  }

  /** Fails the next check of this path, and only that. Resolves with when it was answered. */
  failOnce(path: string): Promise<number> {
    this.failing.add(path);
    return this.answered(path);
  }
}
