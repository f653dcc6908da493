import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import { abortReason } from '../lib/errors.ts';
import { decodeMessage, encodeMessage, type Message, RCODE } from './message.ts';
import { TcpFramer, tcpFrame } from './tcp-frame.ts';

/** Where resolvers listen; another one in tests. */
export const DNS_PORT = 53;

/** One question to one resolver. @throws Error when none came; AbortError when aborted */
export type Exchange = (server: string, query: Message, signal: AbortSignal) => Promise<Message>;

/** Over UDP, and over TCP when the response does not fit a datagram; without EDNS when the server does not know it. */
export function networkExchange(port: number = DNS_PORT): Exchange {
  return async function exchange(server, query, signal) {
    const response = await viaUdp(server, port, query, signal);
    const isOld = response.rcode === RCODE.FORMERR && query.edns !== undefined && response.edns === undefined;
    if (isOld) return exchange(server, { ...query, edns: undefined }, signal);
    return response.truncated ? viaTcp(server, port, query, signal) : response;
  };
}

/** The response in these bytes, if they are one to this query: whoever guesses must guess id and question. */
function responseTo(query: Message, bytes: Buffer): Message | undefined {
  let response: Message;
  try {
    response = decodeMessage(bytes);
  } catch {
    return undefined;
  }
  const [asked, answered] = [query.questions[0]!, response.questions[0]];
  const isAnswer =
    response.isResponse &&
    response.id === query.id &&
    // Some servers leave the question out when they refuse.
    (answered === undefined
      ? response.rcode !== RCODE.NOERROR
      : answered.type === asked.type &&
        answered.class === asked.class &&
        answered.name.toLowerCase() === asked.name.toLowerCase());
  return isAnswer ? response : undefined;
}

function viaUdp(server: string, port: number, query: Message, signal: AbortSignal): Promise<Message> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortReason(signal));
    const message = encodeMessage(query);
    // A port of its own that takes from this server only: the kernel drops everything else.
    const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners().on('error', () => {});
      socket.close();
      settle();
    };
    const onAbort = (): void => end(() => reject(abortReason(signal)));
    signal.addEventListener('abort', onAbort);
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (bytes) => {
      const response = responseTo(query, bytes);
      if (response) end(() => resolve(response));
    });
    socket.connect(port, server, () => socket.send(message));
  });
}

function viaTcp(server: string, port: number, query: Message, signal: AbortSignal): Promise<Message> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortReason(signal));
    const message = tcpFrame(encodeMessage(query));
    const socket = connect({ host: server, port });
    const framer = new TcpFramer();
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      settle();
    };
    const onAbort = (): void => end(() => reject(abortReason(signal)));
    signal.addEventListener('abort', onAbort);
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('close', () => end(() => reject(new Error(`${server} closed the connection without an answer`))));
    socket.on('data', (chunk) => {
      for (const bytes of framer.push(chunk)) {
        const response = responseTo(query, bytes);
        if (response) return end(() => resolve(response));
      }
    });
    socket.write(message);
  });
}
