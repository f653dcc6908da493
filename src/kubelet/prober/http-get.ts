import type { Container, HTTPGetAction } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { onAbort } from '../../lib/on-abort.ts';
import { Connection, type ConnectionUser } from './connection.ts';
import { brokenWords, dialWords } from './dial-words.ts';
import { type HttpResponse, HttpResponseReader } from './http-response.ts';
import { joinHostPort, resolvePort } from './probe-target.ts';

/** The version that user agents carry: the Kubernetes release whose behaviour this is. */
const VERSION = '1.36';
const MAX_REDIRECTS = 10;
/** Headers that Go sends as it sees fit (net/http: reqWriteExcludeHeader). */
const OURS = ['host', 'content-length', 'transfer-encoding', 'trailer'];
/** Before why a response that has begun is none. */
const BROKEN = 'net/http: HTTP/1.x transport connection broken: ';

type FailureCause = 'timedOut' | 'lost' | 'refused' | 'other';

export interface HttpGetRequest {
  readonly url: string;
  /** In order, names as they are sent; `Host` is among them. */
  readonly headers: readonly (readonly [string, string])[];
  readonly message: Message;
}

/** A request as it goes over the network. */
interface Message {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** host:port */
  readonly address: string;
  /** Begins what is said of a failure. */
  readonly where: string;
  readonly text: string;
  /** Why it cannot be sent. */
  readonly unsendable: string | undefined;
}

export type HttpGetResult =
  /** `body` holds at most 10 KiB. */
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  /** No answer. `timedOut`: by our own clock; `lost`: the peer ended the connection before it answered. */
  | { readonly kind: 'failure'; readonly words: string; readonly cause: FailureCause }
  /** A status came, but its body did not arrive whole. */
  | { readonly kind: 'body'; readonly words: string };

/**
 * The request that an httpGet handler means (kubernetes: pkg/probe/http/request.go). Throws when its port cannot be resolved.
 * @param purpose what the user agent calls us: kube-probe or kube-lifecycle
 */
export function httpGetRequest(
  action: HTTPGetAction,
  container: Container,
  podIP: string | undefined,
  purpose: 'probe' | 'lifecycle',
): HttpGetRequest {
  const authority = joinHostPort(action.host || podIP!, resolvePort(action.port, container));
  const path = (action.path ?? '').replace(/#.*$/s, '').replace(/[^\x21-\x7e]+/gu, encodeURIComponent);
  const slash = path !== '' && !/^[/?]/.test(path) ? '/' : '';
  const given = action.httpHeaders ?? [];
  const has = (name: string): boolean => given.some((h) => h.name.toLowerCase() === name);
  const host = given.find((h) => h.name.toLowerCase() === 'host')?.value;
  const headers: [string, string][] = [['Host', host || authority]];
  if (!has('user-agent')) headers.push(['User-Agent', `kube-${purpose}/${VERSION}`]);
  if (!has('accept')) headers.push(['Accept', '*/*']);
  for (const { name, value } of given) {
    const lower = name.toLowerCase();
    const dropped = OURS.includes(lower) || (value === '' && (lower === 'accept' || lower === 'user-agent'));
    if (!dropped) headers.push([name, value]);
  }
  headers.push(['Connection', 'close']);
  return requestTo(`${(action.scheme ?? 'HTTP').toLowerCase()}://${authority}${slash}${path}`, headers);
}

/**
 * GET as the kubelet does it: no proxy, no kept connection, no certificate check; redirects to the same host name are followed, one to
 * another host is the answer. Never rejects.
 * @param timeoutMs for everything, the body included; undefined for none
 */
export async function httpGet(
  first: HttpGetRequest,
  timeoutMs: number | undefined,
  signal: AbortSignal,
  clock: Clock,
): Promise<HttpGetResult> {
  const deadline = timeoutMs === undefined ? undefined : clock.monotonic() + timeoutMs;
  let request = first;
  for (let hops = 0; ; hops++) {
    const left = deadline === undefined ? undefined : deadline - clock.monotonic();
    const result = await getOnce(request.message, left, signal, clock);
    if (result.kind !== 'answer' || !result.location || ![301, 302, 303, 307, 308].includes(result.status)) {
      return result;
    }
    const { url, headers } = request;
    const next = URL.canParse(result.location, url) ? new URL(result.location, url) : undefined;
    if (!next) return failure(`Get "${result.location}": invalid redirect`);
    // Whatever is spoken there.
    if (next.hostname !== new URL(first.url).hostname) return result;
    if (!/^https?:$/.test(next.protocol)) {
      return failure(`Get "${result.location}": unsupported protocol scheme "${next.protocol.slice(0, -1)}"`);
    }
    if (hops + 1 >= MAX_REDIRECTS) return failure(`Get "${result.location}": stopped after 10 redirects`);
    // A Host of the user's own stays with a redirect that names no host.
    const keepHost = !/^(https?:)?\/\//i.test(result.location);
    request = requestTo(
      next.href,
      headers.map(([name, value]) => (name === 'Host' && !keepHost ? [name, next.host] : [name, value])),
    );
  }
}

function requestTo(url: string, headers: HttpGetRequest['headers']): HttpGetRequest {
  const target = new URL(url);
  const secure = target.protocol === 'https:';
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const port = Number(target.port || (secure ? 443 : 80));
  const lines = headers.map(([name, value]) => `${name}: ${value.trim()}\r\n`);
  const message = {
    secure,
    host,
    port,
    address: joinHostPort(host, port),
    where: `Get "${url}": `,
    text: `GET ${pathOf(url)} HTTP/1.1\r\n${lines.join('')}\r\n`,
    unsendable: headers.map(whyUnsendable).find((words) => words !== undefined),
  };
  return { url, headers, message };
}

type Answer = Extract<HttpGetResult, { kind: 'answer' }> & { readonly location?: string | undefined };
type Result = Answer | Exclude<HttpGetResult, { kind: 'answer' }>;

function getOnce(
  { secure, host, port, address, where, text, unsendable }: Message,
  timeoutMs: number | undefined,
  signal: AbortSignal,
  clock: Clock,
): Promise<Result> {
  if (unsendable) return Promise.resolve(failure(where + unsendable));
  return new Promise((resolve) => {
    const reader = new HttpResponseReader();
    let isConnected = false;
    let local = '';

    const finish = (result: Result): void => {
      timer?.cancel();
      ignoreAbort();
      connection.close();
      resolve(result);
    };
    const onTimeout = (): void => {
      const reading = 'context deadline exceeded (Client.Timeout or context cancellation while reading body)';
      const what = isConnected ? 'context deadline exceeded' : `dial tcp ${address}: i/o timeout`;
      const waiting = `${where}${what} (Client.Timeout exceeded while awaiting headers)`;
      finish(reader.hasHead ? { kind: 'body', words: reading } : failure(waiting, 'timedOut'));
    };
    /** @param words why no whole response comes */
    const broken = (words: string, cause: FailureCause): void => {
      if (reader.hasHead) finish({ kind: 'body', words });
      else finish(failure(`${where}${reader.hasBegun ? BROKEN : ''}${words}`, cause));
    };
    /**
     * @param read what there is of the response
     * @param cause when that is none
     */
    const advance = (read: () => HttpResponse | undefined, cause: FailureCause): void => {
      try {
        const response = read();
        if (!response) return;
        const { status, body, location } = response;
        finish({ kind: 'answer', status, body, location });
      } catch (error) {
        broken(messageOf(error), cause);
      }
    };
    const user: ConnectionUser = {
      connected: () => {
        isConnected = true;
        // Asked now: a broken connection no longer knows it.
        local = joinHostPort(connection.local.host ?? '', connection.local.port ?? 0);
        connection.write(text);
      },
      received: (arrived) => advance(() => reader.read(arrived), 'other'),
      ended: () => advance(() => reader.end(), 'lost'),
      failed: (error) => {
        const errno = errnoOf(error);
        if (isConnected) broken(readWords(error, local, address), errno === 'ECONNRESET' ? 'lost' : 'other');
        else finish(failure(where + dialWords(error, host, address), errno === 'ECONNREFUSED' ? 'refused' : 'other'));
      },
    };

    const timer = timeoutMs === undefined ? undefined : clock.setTimer(Math.max(0, timeoutMs), onTimeout);
    const ignoreAbort = onAbort(signal, () => finish(failure('aborted')));
    const connection = secure ? Connection.openSecure(host, port, user) : Connection.open(host, port, user);
  });
}

/** Why a header cannot be sent, in the words of Go's net/http. */
function whyUnsendable([name, value]: readonly [string, string]): string | undefined {
  if (name === 'Host') return /^[\w!$%&'()*+,;=:[\]~.-]*$/.test(value) ? undefined : 'http: invalid Host header';
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return `net/http: invalid header field name ${JSON.stringify(name)}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be sent
  return /[\x00-\x08\x0a-\x1f\x7f]/.test(value)
    ? `net/http: invalid header field value for ${JSON.stringify(name)}`
    : undefined;
}

/** Path and query exactly as written, as Go sends them (WHATWG URLs would resolve `..`). */
function pathOf(url: string): string {
  const afterHost = url.replace(/^\w+:\/\/[^/?]*/, '');
  return afterHost.startsWith('/') ? afterHost : `/${afterHost}`;
}

function readWords(error: Error, local: string, address: string): string {
  const errno = errnoOf(error) ?? '';
  if (errno === 'EPROTO' || errno.startsWith('ERR_SSL')) return 'http: server gave HTTP response to HTTPS client';
  return brokenWords(error, local, address);
}

function failure(words: string, cause: FailureCause = 'other'): Exclude<HttpGetResult, Answer> {
  return { kind: 'failure', words, cause };
}
