import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from 'node:http2';
import { createConnection } from 'node:net';
import type { Clock } from '../../lib/clock.ts';
import { abortReason, messageOf } from '../../lib/errors.ts';
import { type CriCode, CriError } from '../cri-error.ts';
import { encodeFrame, FrameReader, type Rpc } from './codec.ts';
import { codeOfReset, codeOfStatus, decodeMessage, timeoutHeader } from './grpc-status.ts';
import { lingerOn } from './linger.ts';

export interface GrpcCallOptions {
  /** Cancels the call, which then rejects with an AbortError. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which the call fails with DEADLINE_EXCEEDED; the server is told. None by default. */
  readonly timeoutMs?: number | undefined;
  /** Request headers. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Large enough that no answer of a runtime (a list of every container, the output of an exec) waits for a window update. */
const STREAM_WINDOW_BYTES = 4 << 20;
const CONNECTION_WINDOW_BYTES = 16 << 20;
/** Beyond this Node refuses new streams; its default of 10 would be less than the windows above. */
const SESSION_MEMORY_MB = 64;

/**
 * A gRPC client for unary and server-streaming calls over one HTTP/2 connection on a Unix socket.
 *
 * The connection is made by the first call and kept. When it breaks, the calls in flight fail with UNAVAILABLE and the next call
 * connects again, at once: on a Unix socket that costs less than a back-off could save. A call fails with UNAVAILABLE as soon
 * as nobody listens; whoever wants to wait for a runtime to come back retries. No rejection or 'error' event goes unhandled.
 */
export class GrpcClient {
  private readonly socketPath: string;
  private readonly clock: Clock;
  private readonly lingers: boolean;
  private connection: Connection | undefined;
  private closed = false;

  /** @param options.lingers whether calls under way are carried out even if our process is killed */
  constructor({ socketPath, clock, lingers = false }: { socketPath: string; clock: Clock; lingers?: boolean }) {
    this.lingers = lingers;
    this.socketPath = socketPath;
    this.clock = clock;
  }

  /** Calls a method that answers once. Rejects with CriError, or AbortError when the signal aborted. */
  unary<Request, Response>(
    rpc: Rpc<Request, Response>,
    message: Request,
    options: GrpcCallOptions = {},
  ): Promise<Response> {
    const method = methodOf(rpc.path);
    const { signal, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortReason(signal));
      let call: Call;
      try {
        call = this.open(rpc, message, options);
      } catch (error) {
        return reject(CriError.from(error, method));
      }
      const { stream } = call;
      const frames = new FrameReader();
      let answer: Buffer | undefined;
      const settle = (result: () => void): void => {
        timer?.cancel();
        signal?.removeEventListener('abort', onAbort);
        stream.off('data', onData);
        result();
      };
      const onAbort = (): void => {
        settle(() => reject(abortReason(signal!)));
        cancel(stream);
      };
      const onData = (chunk: Buffer): void => {
        try {
          answer = frames.push(chunk).at(-1) ?? answer;
        } catch (error) {
          settle(() => reject(new CriError('INTERNAL', method, messageOf(error))));
          cancel(stream);
        }
      };
      const timer =
        timeoutMs === undefined
          ? undefined
          : this.clock.setTimer(timeoutMs, () => {
              settle(() => reject(deadlineExceeded(method, timeoutMs)));
              cancel(stream);
            });
      signal?.addEventListener('abort', onAbort, { once: true });
      stream.on('data', onData);
      stream.once('close', () =>
        settle(() => {
          try {
            call.check();
            if (!answer) throw new CriError('INTERNAL', method, 'the runtime answered OK, but with no message');
            resolve(rpc.response.decode(answer));
          } catch (error) {
            reject(CriError.from(error, method));
          }
        }),
      );
    });
  }

  /**
   * Calls a method that answers with a stream. The iteration ends when the server ends it with OK and throws CriError otherwise,
   * AbortError when the signal aborted. Leaving the loop cancels the call.
   */
  async *serverStream<Request, Response>(
    rpc: Rpc<Request, Response>,
    message: Request,
    options: Omit<GrpcCallOptions, 'timeoutMs'> = {},
  ): AsyncGenerator<Response, void, void> {
    const { signal } = options;
    if (signal?.aborted) throw abortReason(signal);
    const call = this.open(rpc, message, options);
    const { stream } = call;
    const frames = new FrameReader();
    const onAbort = (): void => cancel(stream);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      try {
        for await (const chunk of stream) {
          for (const frame of frames.push(chunk as Buffer)) yield rpc.response.decode(frame);
        }
      } catch (error) {
        // The stream's own error says less than what `check` knows; anything else (a broken frame) is told below.
        if (!stream.errored) throw new CriError('INTERNAL', methodOf(rpc.path), messageOf(error), { cause: error });
      }
      if (signal?.aborted) throw abortReason(signal);
      if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
      call.check();
    } finally {
      signal?.removeEventListener('abort', onAbort);
      cancel(stream);
    }
  }

  /** Drops the connection; calls in flight and later ones fail with UNAVAILABLE. */
  close(): void {
    this.closed = true;
    this.connection?.release();
    this.connection?.session.destroy();
    this.connection = undefined;
  }

  private open<Request>(rpc: Rpc<Request, unknown>, message: Request, options: GrpcCallOptions): Call {
    const frame = encodeFrame(rpc.request, message);
    const connection = this.connected(methodOf(rpc.path));
    const stream = connection.session.request({
      ':method': 'POST',
      ':path': rpc.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(options.timeoutMs !== undefined && { 'grpc-timeout': timeoutHeader(options.timeoutMs) }),
      ...options.metadata,
    });
    stream.end(frame);
    return new Call(stream, connection, methodOf(rpc.path), this.socketPath);
  }

  private connected(method: string): Connection {
    if (this.closed) throw new CriError('UNAVAILABLE', method, `the connection to ${this.socketPath} was closed`);
    const { connection: current } = this;
    if (current && !current.session.closed && !current.session.destroyed) return current;
    const socket = createConnection(this.socketPath);
    const session = connect('http://localhost', {
      createConnection: () => socket,
      settings: { initialWindowSize: STREAM_WINDOW_BYTES, enablePush: false },
      maxSessionMemory: SESSION_MEMORY_MB,
    });
    const connection: Connection = { session, failure: undefined, release: () => {} };
    const forget = (): void => {
      if (this.connection === connection) this.connection = undefined;
    };
    // The socket's own error, since the session tells it only after its streams have ended.
    socket.prependOnceListener('error', (error) => {
      connection.failure = error.message;
    });
    session.once('connect', () => {
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
      if (!this.lingers || this.closed) return;
      connection.release = lingerOn(socket, this.socketPath);
      session.once('close', connection.release);
    });
    // After GOAWAY the streams in flight may still end well, but no new one may begin.
    session.once('goaway', forget);
    session.once('close', forget);
    session.on('error', forget);
    this.connection = connection;
    return connection;
  }
}

interface Connection {
  readonly session: ClientHttp2Session;
  /** Why it broke, once it has. */
  failure: string | undefined;
  /** Nothing lingers on it from now on. */
  release: () => void;
}

/** One call in flight: gathers the status that the server gives it. */
class Call {
  readonly stream: ClientHttp2Stream;
  private readonly connection: Connection;
  private readonly method: string;
  private readonly socketPath: string;
  private httpStatus: number | undefined;
  private status: string | undefined;
  private message = '';

  constructor(stream: ClientHttp2Stream, connection: Connection, method: string, socketPath: string) {
    this.stream = stream;
    this.connection = connection;
    this.method = method;
    this.socketPath = socketPath;
    const onHeaders = (headers: IncomingHttpHeaders): void => {
      this.httpStatus ??= Number(headers[':status']);
      const status = headers['grpc-status'];
      if (typeof status !== 'string') return;
      this.status = status;
      this.message = decodeMessage(String(headers['grpc-message'] ?? ''));
    };
    stream.on('response', onHeaders);
    stream.on('trailers', onHeaders);
    // Told by `check` once the stream is closed.
    stream.on('error', () => {});
  }

  /** To be asked once the stream has closed: throws unless the server said OK. */
  check(): void {
    if (this.status !== undefined) {
      const code = codeOfStatus(this.status);
      if (code !== 'OK') throw this.failure(code, this.message);
    } else if (this.connection.session.destroyed || this.connection.session.closed) {
      const why = this.connection.failure ?? 'the connection broke';
      throw this.failure('UNAVAILABLE', `the container runtime at ${this.socketPath} does not answer: ${why}`);
    } else if (this.httpStatus !== undefined && this.httpStatus !== 200) {
      throw this.failure('UNKNOWN', `${this.socketPath} does not speak gRPC: HTTP status ${this.httpStatus}`);
    } else {
      const code = this.stream.rstCode ?? 0;
      throw this.failure(codeOfReset(code), `the stream ended without a status (HTTP/2 code ${code})`);
    }
  }

  private failure(code: CriCode, message: string): CriError {
    return new CriError(code, this.method, message);
  }
}

function cancel(stream: ClientHttp2Stream): void {
  if (!stream.destroyed) stream.close(8); // NGHTTP2_CANCEL
}

function deadlineExceeded(method: string, timeoutMs: number): CriError {
  return new CriError('DEADLINE_EXCEEDED', method, `no answer within ${timeoutMs / 1000} s: context deadline exceeded`);
}

/** `RunPodSandbox` of `/runtime.v1.RuntimeService/RunPodSandbox`. */
function methodOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
