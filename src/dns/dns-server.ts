import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { decodeMessage, encodeMessage, looksLikeQuery, MAX_MESSAGE_BYTES, type Message, RCODE } from './message.ts';
import { emptyReply, PAYLOAD_SIZE, respond } from './resolver.ts';
import { TcpFramer, tcpFrame } from './tcp-frame.ts';

export interface DnsServerOptions {
  readonly address: string;
  readonly port: number;
  readonly answer: (query: Message) => Promise<Message>;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface DnsServer {
  /** Where it listens, for both protocols. */
  readonly port: number;
  close(): Promise<void>;
}

/** Without EDNS (RFC 1035, section 4.2.1). */
const MIN_PAYLOAD_BYTES = 512;
const MAX_CONNECTIONS = 256;
/** Of one address, so that one pod cannot take them all. */
const MAX_CONNECTIONS_PER_CLIENT = 32;
/** What a client may leave unread, bytes. */
const MAX_UNREAD_BYTES = 1 << 20;
/** A connection on which no query comes for so long is closed. */
const IDLE_MS = 10_000;

/** Answers DNS queries over UDP and TCP. @throws the system's error when the address or port cannot be had */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { address, logger } = options;
  const connections = new Set<Socket>();

  const tcp = createServer({ noDelay: true }, (socket) => {
    let ofClient = 0;
    for (const { remoteAddress } of connections) if (remoteAddress === socket.remoteAddress) ofClient++;
    if (ofClient >= MAX_CONNECTIONS_PER_CLIENT) return void socket.on('error', () => {}).destroy();
    connections.add(socket);
    serveConnection(socket, options);
    socket.on('close', () => connections.delete(socket));
  });
  tcp.maxConnections = MAX_CONNECTIONS;
  tcp.listen(options.port, address);
  await once(tcp, 'listening');
  const { port } = tcp.address() as { port: number };

  const udp = createSocket('udp4');
  udp.on('message', (bytes, from: RemoteInfo) => {
    const limit = (query: Message): number =>
      Math.min(PAYLOAD_SIZE, Math.max(MIN_PAYLOAD_BYTES, query.edns?.payloadSize ?? 0));
    void answerTo(bytes, limit, options).then((response) => {
      // Nobody is there to be told when the client is gone.
      if (response) udp.send(response, from.port, from.address, () => {});
    });
  });
  const close = async (): Promise<void> => {
    tcp.close();
    udp.close();
    for (const socket of connections) socket.destroy();
    await once(tcp, 'close');
  };
  try {
    udp.bind(port, address);
    await once(udp, 'listening');
  } catch (error) {
    tcp.close();
    throw error;
  }
  for (const server of [tcp, udp]) {
    server.on('error', (error) => logger.warn({ error: messageOf(error) }, 'a DNS socket failed'));
  }
  return { port, close };
}

/** Queries may come one after the other without waiting; each is answered when its answer is there (RFC 7766). */
function serveConnection(socket: Socket, options: DnsServerOptions): void {
  const framer = new TcpFramer();
  let idle: Timer = options.clock.setTimer(IDLE_MS, () => socket.destroy());
  socket.on('data', (chunk) => {
    for (const bytes of framer.push(chunk)) {
      idle.cancel();
      idle = options.clock.setTimer(IDLE_MS, () => socket.destroy());
      void answerTo(bytes, () => MAX_MESSAGE_BYTES, options).then((response) => {
        if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
        if (response && socket.writable) socket.write(tcpFrame(response));
      });
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => idle.cancel());
}

/** Never rejects. Undefined for what deserves no answer. @param limit bytes that the client takes */
async function answerTo(
  bytes: Buffer,
  limit: (query: Message) => number,
  { answer, logger }: DnsServerOptions,
): Promise<Buffer | undefined> {
  if (!looksLikeQuery(bytes)) return undefined;
  let query: Message;
  try {
    query = decodeMessage(bytes);
  } catch {
    // Of such a query only the header's first half is believed.
    const header = decodeMessage(Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(8)]));
    return encodeMessage(respond(header, emptyReply(RCODE.FORMERR)));
  }
  try {
    return encodeMessage(await answer(query), limit(query));
  } catch (error) {
    logger.error({ question: query.questions[0], error: messageOf(error) }, 'a DNS query failed');
    return encodeMessage(respond(query, emptyReply(RCODE.SERVFAIL)));
  }
}
