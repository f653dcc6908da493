import { type ClientHttp2Session, connect, constants } from 'node:http2';
import type { GRPCAction } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { goDuration } from '../../lib/go-duration.ts';
import { onAbort } from '../../lib/on-abort.ts';
import type { Attempt, AttemptInput } from './attempt.ts';
import { joinHostPort } from './probe-target.ts';

/** gRPC waits this long before it tries to connect again (grpc: doc/connection-backoff.md). */
const RECONNECT_MS = 1000;

const STATUS_NAMES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
];
const RESOURCE_EXHAUSTED = 8;
const UNIMPLEMENTED = 12;
const INTERNAL = 13;
/** Before each message: a flag and its length. */
const PREFIX_BYTES = 5;
/** What of an answer is looked at: its prefix and its first field. */
const ANSWER_HEAD_BYTES = PREFIX_BYTES + 2;
/** grpc-go's. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/** What a call of Health/Check came to: a serving status, or a gRPC status that is not OK. */
type CheckResult = { readonly serving: number } | { readonly code: number; readonly message: string };

/**
 * `grpc.health.v1.Health/Check` without TLS: SERVING is success, everything else a failure; there are no prober errors
 * (kubernetes: pkg/probe/grpc/grpc.go).
 */
export async function grpcProbe(action: GRPCAction, input: AttemptInput, clock: Clock): Promise<Attempt> {
  const address = joinHostPort(input.podIP!, action.port);
  const within = goDuration(input.timeoutMs);
  const timeout = new AbortController();
  const stop = AbortSignal.any([timeout.signal, input.signal]);
  const timer = clock.setTimer(input.timeoutMs, () => timeout.abort());
  let session: ClientHttp2Session | undefined;
  try {
    session = await connectUntil(address, stop, clock);
    if (!session) {
      const words = `timeout: failed to connect service "${address}" within ${within}: context deadline exceeded`;
      return { outcome: 'failure', output: words, ownTime: true };
    }
    const result = await check(session, action.service ?? '', stop);
    if (!result) {
      return {
        outcome: 'failure',
        output: `timeout: health rpc did not complete within ${within}`,
        ownTime: true,
      };
    }
    if ('serving' in result) {
      if (result.serving === 1) return { outcome: 'success', output: 'service healthy' };
      const name = SERVING_STATUS[result.serving] ?? String(result.serving);
      return { outcome: 'failure', output: `service unhealthy (responded with "${name}")` };
    }
    if (result.code === UNIMPLEMENTED) {
      const words = 'error: this server does not implement the grpc health protocol (grpc.health.v1.Health)';
      return { outcome: 'failure', output: `${words}: ${result.message}` };
    }
    const code = STATUS_NAMES[result.code] ?? `Code(${result.code})`;
    return {
      outcome: 'failure',
      output: `error: health rpc probe failed: rpc error: code = ${code} desc = ${result.message}`,
    };
  } finally {
    timer.cancel();
    session?.destroy();
  }
}

/** A session whose server has answered the HTTP/2 preface; undefined when none came about before `stop`. */
async function connectUntil(address: string, stop: AbortSignal, clock: Clock): Promise<ClientHttp2Session | undefined> {
  while (!stop.aborted) {
    const session = await connectOnce(address, stop);
    if (session) return session;
    // As gRPC does it, a refused connection is tried again until the time is up: the server may be just starting.
    await clock.sleep(RECONNECT_MS, stop).catch(() => {});
  }
  return undefined;
}

function connectOnce(address: string, stop: AbortSignal): Promise<ClientHttp2Session | undefined> {
  return new Promise((resolve) => {
    const session = connect(`http://${address}`);
    const finish = (value: ClientHttp2Session | undefined): void => {
      ignoreAbort();
      if (!value) session.destroy();
      resolve(value);
    };
    const ignoreAbort = onAbort(stop, () => finish(undefined));
    session.once('remoteSettings', () => finish(session));
    session.once('close', () => finish(undefined));
    // Stays attached: a session that breaks later ends its stream, which is where it is told.
    session.on('error', () => finish(undefined));
  });
}

/** One unary call; undefined when `stop` came first. */
function check(session: ClientHttp2Session, service: string, stop: AbortSignal): Promise<CheckResult | undefined> {
  return new Promise((resolve) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
      [constants.HTTP2_HEADER_USER_AGENT]: 'kube-probe/1.36',
    });
    const finish = (result: CheckResult | undefined): void => {
      ignoreAbort();
      resolve(result);
    };
    const ignoreAbort = onAbort(stop, () => finish(undefined));

    let received = 0;
    let head = Buffer.alloc(0);
    let http = 200;
    let trailers: Record<string, unknown> = {};
    stream.on('response', (headers) => {
      http = headers[':status'] ?? 0;
      trailers = headers;
    });
    stream.on('trailers', (headers) => (trailers = headers));
    stream.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (head.length < ANSWER_HEAD_BYTES) head = Buffer.concat([head, chunk]).subarray(0, ANSWER_HEAD_BYTES);
      const refusal = whyRefused(head, received);
      if (!refusal) return;
      finish(refusal);
      stream.destroy();
    });
    stream.on('error', (error) => finish({ code: 14, message: messageOf(error) }));
    stream.on('close', () => {
      if (http !== 200) return finish(fromHttpStatus(http));
      const status = trailers['grpc-status'];
      if (status === undefined) return finish({ code: 14, message: 'error reading from server: EOF' });
      const message = decodeURIComponentSafe(String(trailers['grpc-message'] ?? ''));
      finish(status === '0' ? { serving: decodeResponse(head) } : { code: Number(status), message });
    });
    stream.end(encodeRequest(service));
  });
}

/** What gRPC says of an answer that it does not read to its end. @param received how many bytes have come */
function whyRefused(head: Buffer, received: number): CheckResult | undefined {
  if (head.length < PREFIX_BYTES) return undefined;
  const length = head.readUInt32BE(1);
  if (length > MAX_ANSWER_BYTES) {
    const message = `grpc: received message larger than max (${length} vs. ${MAX_ANSWER_BYTES})`;
    return { code: RESOURCE_EXHAUSTED, message };
  }
  if (received <= PREFIX_BYTES + length) return undefined;
  const message = 'cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message';
  return { code: INTERNAL, message };
}

/** What gRPC makes of a server that answers with bare HTTP (grpc: doc/http-grpc-status-mapping.md). */
function fromHttpStatus(status: number): CheckResult {
  const codes: Record<number, number> = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14 };
  return { code: codes[status] ?? 2, message: `unexpected HTTP status code received from server: ${status}` };
}

function decodeURIComponentSafe(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** `HealthCheckRequest { string service = 1; }` in gRPC's length-prefixed framing. */
export function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service);
  const message = service === '' ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/** `HealthCheckResponse { ServingStatus status = 1; }`: the status; 0 (UNKNOWN) when it is left out. */
export function decodeResponse(frame: Buffer): number {
  // The one field is an enum below 128: its tag is 0x08, its value one byte.
  const message = frame.subarray(PREFIX_BYTES);
  const at = message.indexOf(0x08);
  return at === 0 ? (message[1] ?? 0) : 0;
}
