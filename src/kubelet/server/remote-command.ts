import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { SpdyConnection } from './spdy-connection.ts';
import type { SpdyDial } from './spdy-dial.ts';

/** The stream protocol that both Kubernetes and the runtimes speak over SPDY: errors come as a v1.Status. */
export const REMOTE_COMMAND_PROTOCOL = 'v4.channel.k8s.io';

/** Over a WebSocket, best first. v5 is v4 and a message that half-closes a stream. */
export const REMOTE_COMMAND_SUBPROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;

/** A stream's number is the first byte of each WebSocket message (kubernetes: remotecommand/websocket.go). */
const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
const CLOSE_STREAM = 255;

/** Above so many bytes not yet taken by the client, we stop reading from the runtime. */
const HIGH_WATER_BYTES = 1 << 20;

export interface RemoteStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/**
 * Translates between the channels of a WebSocket and the streams of a SPDY connection, until either ends; ends the other then.
 * The runtime's verdict (a v1.Status with the exit code) passes through on the error channel.
 */
export function bridgeRemoteCommand(client: WebSocket, dial: SpdyDial, streams: RemoteStreams): void {
  const { socket } = dial;
  const channelOf = new Map<number, number>();
  const streamOf = new Map<number, number>();
  const spdy = new SpdyConnection(socket, dial.head, {
    data: (stream, data) => {
      const channel = channelOf.get(stream);
      if (channel === undefined || client.readyState !== client.OPEN) return;
      client.send(Buffer.concat([Buffer.of(channel), data]), () => {
        if (socket.isPaused() && client.bufferedAmount <= HIGH_WATER_BYTES) socket.resume();
      });
      if (client.bufferedAmount > HIGH_WATER_BYTES) socket.pause();
    },
    close: () => {
      // A paused client would not hear the answer to the closing handshake.
      client.resume();
      client.close(1000);
    },
  });
  const open = (channel: number, streamtype: string): void => {
    const id = spdy.open({ streamtype });
    streamOf.set(channel, id);
    channelOf.set(id, channel);
  };
  open(ERROR, 'error');
  if (streams.stdin) open(STDIN, 'stdin');
  if (streams.stdout) open(STDOUT, 'stdout');
  if (streams.stderr) open(STDERR, 'stderr');
  if (streams.tty) open(RESIZE, 'resize');

  client.on('message', (message) => {
    const data = message as Buffer;
    const channel = data[0];
    if (channel === CLOSE_STREAM) {
      const stream = streamOf.get(data[1] ?? -1);
      if (stream !== undefined) spdy.end(stream);
      return;
    }
    const stream = channel === STDIN || channel === RESIZE ? streamOf.get(channel) : undefined;
    if (stream !== undefined && !spdy.send(stream, data.subarray(1))) pauseUntilDrained(client, socket);
  });
  client.on('error', () => client.terminate());
  client.once('close', () => socket.destroy());
  // Tells the client that its streams are there, as the API server does.
  const first = streams.stdout ? STDOUT : streams.stderr ? STDERR : ERROR;
  client.send(Buffer.of(first));
}

function pauseUntilDrained(client: WebSocket, socket: Socket): void {
  if (client.isPaused) return;
  client.pause();
  socket.once('drain', () => client.resume());
}
