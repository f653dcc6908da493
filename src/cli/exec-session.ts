import type { Status } from '../api/generated/types.ts';
import { ApiStatusError } from '../api/status-error.ts';
import { UserError } from '../lib/errors.ts';
import type { ApiSocket, Input, Output } from './context.ts';

/** Subprotocols in order of preference. v5 can close standard input on its own; v4 cannot. */
export const EXEC_PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;

/** The first byte of each message. Source: k8s.io/apimachinery/pkg/util/remotecommand. */
const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;

export interface ExecStreams {
  /** Undefined: nothing is sent, and the command's standard input is empty. */
  readonly stdin: Input | undefined;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Terminal size now, and a way to hear of changes; undefined without a terminal. */
  readonly terminal:
    | { size(): { columns: number; rows: number }; onResize(listener: () => void): () => void }
    | undefined;
}

/**
 * Carries one command's streams over an open connection until it ends. Resolves with its exit code; rejects with `ApiStatusError`
 * when it could not be started, and with `UserError` when the connection ends without a verdict.
 */
export async function runExecSession(socket: ApiSocket, streams: ExecStreams): Promise<number> {
  const send = (channel: number, data: Uint8Array): void => socket.send(Buffer.concat([Uint8Array.of(channel), data]));
  const undo: (() => void)[] = [];

  const { terminal, stdin } = streams;
  if (terminal) {
    const sendSize = (): void => {
      const { columns, rows } = terminal.size();
      send(CHANNEL.resize, Buffer.from(JSON.stringify({ Width: columns, Height: rows })));
    };
    undo.push(terminal.onResize(sendSize));
    sendSize();
  }
  if (stdin) {
    const onData = (chunk: Uint8Array | string): void => send(CHANNEL.stdin, Buffer.from(chunk as Uint8Array));
    const onEnd = (): void => {
      if (socket.protocol === EXEC_PROTOCOLS[0]) send(CHANNEL.close, Uint8Array.of(CHANNEL.stdin));
    };
    stdin.on('data', onData);
    stdin.on('end', onEnd);
    undo.push(() => {
      stdin.off('data', onData);
      stdin.off('end', onEnd);
      stdin.pause();
    });
  }

  try {
    for await (const message of socket.messages) {
      const data = message.subarray(1);
      switch (message[0]) {
        case CHANNEL.stdout:
          await write(streams.stdout, data);
          break;
        case CHANNEL.stderr:
          await write(streams.stderr, data);
          break;
        case CHANNEL.error:
          return exitCodeOf(JSON.parse(Buffer.from(data).toString('utf8')) as Status);
      }
    }
  } finally {
    for (const fn of undo) fn();
    socket.close();
  }
  throw new UserError('the connection ended before the command did', {
    hint: 'the pod or the agent may have been stopped: kubelette get pods',
  });
}

/** The exit code that a Status on the error channel tells of. */
export function exitCodeOf(status: Status): number {
  if (status.status === 'Success') return 0;
  if (status.reason === 'NonZeroExitCode') {
    const code = Number(status.details?.causes?.find((c) => c.reason === 'ExitCode')?.message);
    return Number.isInteger(code) ? code : 1;
  }
  throw ApiStatusError.fromStatus(status);
}

async function write(stream: Output, data: Uint8Array): Promise<void> {
  if (data.length > 0 && !stream.write(data)) await new Promise((resolve) => stream.once('drain', resolve));
}
