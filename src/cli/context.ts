import type { KubeClient } from '../client/kube-client.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { StopSignal } from './stop-signals.ts';

/** Which API server a command talks to, and the namespace it works in; from `--root-dir`, `--kubeconfig` and `-n`. */
export interface ServerOptions {
  /** Absolute. */
  readonly rootDir: string;
  /** Absolute; `ROOT/kubeconfig` unless `--kubeconfig` says otherwise. */
  readonly kubeconfig: string;
  /** `default` unless `-n` says otherwise. */
  readonly namespace: string;
}

/** A request below or beside what `KubeClient` covers: tables, logs, node proxies. */
export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | undefined;
  /** With its query: `/api/v1/namespaces/default/pods/p/log?follow=true`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | Uint8Array | undefined;
  /** Ends the request, also while its body is being read; the iteration then rejects with an AbortError. */
  readonly signal?: AbortSignal | undefined;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** One WebSocket connection, as far as exec and attach need it. */
export interface ApiSocket {
  /** The subprotocol that the server chose. */
  readonly protocol: string;
  send(data: Uint8Array): void;
  close(): void;
  /** Messages in order until the connection is closed; rejects when it breaks. */
  readonly messages: AsyncIterable<Uint8Array>;
}

export type Output = NodeJS.WritableStream & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};
export type Input = NodeJS.ReadableStream & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };

/** Everything of the outside world that a command may touch. Tests hand in their own. */
export interface CliContext {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly clock: Clock;
  readonly random: Random;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative file names count from here. */
  readonly cwd: string;
  /** Whether standard output is a terminal, so that lines can be repainted. */
  readonly isTTY: boolean;
  /** Whether standard output takes colours: a terminal, and NO_COLOR is not set. */
  readonly color: boolean;
  /** The process's exit code; a command that fails without an error to print sets it. */
  exitCode: number;
  /** Rejects with `UserError` when there is no kubeconfig or nobody answers. */
  client(server: ServerOptions): Promise<KubeClient>;
  /** Rejects with `ApiStatusError` when the server answers with a Status, and with `UserError` when it cannot be reached. */
  request(server: ServerOptions, request: ApiRequest): Promise<ApiResponse>;
  /** As `request`; `path` with its query, `protocols` in order of preference. */
  webSocket(server: ServerOptions, path: string, protocols: readonly string[]): Promise<ApiSocket>;
  /**
   * Calls `listener` for each such signal, instead of the default action, until the returned function is called. SIGPIPE: once, when
   * standard output cannot be written to any more.
   */
  onSignal(signal: StopSignal | 'SIGWINCH', listener: () => void): () => void;
}
