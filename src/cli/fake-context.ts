import { PassThrough } from 'node:stream';
import { ApiStatusError } from '../api/status-error.ts';
import type { KubeClient } from '../client/kube-client.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { SeededRandom } from '../lib/random.ts';
import type { ApiRequest, ApiResponse, ApiSocket, CliContext, ServerOptions } from './context.ts';

/** A context for unit tests: what was printed is readable, requests are answered by a function, signals are sent by hand. */
export class FakeContext implements CliContext {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly clock = new FakeClock();
  readonly random = new SeededRandom(1);
  env: Record<string, string | undefined> = {};
  cwd = '/work';
  isTTY = false;
  color = false;
  exitCode = 0;
  readonly requests: ApiRequest[] = [];
  /** Answers a raw request with JSON (an object) or with text; a function of the path and the request. */
  answer: (path: string, request: ApiRequest) => unknown = (path) => {
    throw new ApiStatusError(404, 'NotFound', `nothing at ${path}`);
  };
  kube: KubeClient | undefined;
  socket: ((path: string) => ApiSocket) | undefined;
  private readonly listeners = new Map<string, Set<() => void>>();

  async client(_server: ServerOptions): Promise<KubeClient> {
    if (!this.kube) throw new Error('this test has no client');
    return this.kube;
  }

  async request(_server: ServerOptions, request: ApiRequest): Promise<ApiResponse> {
    this.requests.push(request);
    const answer = this.answer(request.path, request);
    const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
    return {
      status: 200,
      headers: {},
      body: (async function* () {
        yield Buffer.from(text);
      })(),
    };
  }

  async webSocket(_server: ServerOptions, path: string): Promise<ApiSocket> {
    if (!this.socket) throw new Error('this test has no socket');
    return this.socket(path);
  }

  onSignal(signal: string, listener: () => void): () => void {
    const set = this.listeners.get(signal) ?? new Set();
    this.listeners.set(signal, set.add(listener));
    return () => set.delete(listener);
  }

  signal(signal: string): void {
    for (const listener of this.listeners.get(signal) ?? []) listener();
  }

  /** Everything printed on standard output so far. */
  out(): string {
    return drain(this.stdout);
  }

  err(): string {
    return drain(this.stderr);
  }
}

/** Text that was read from a stream stays readable for the next call. */
const seen = new WeakMap<PassThrough, string>();
function drain(stream: PassThrough): string {
  const text = (seen.get(stream) ?? '') + ((stream.read() as Buffer | null)?.toString() ?? '');
  seen.set(stream, text);
  return text;
}
