import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIPv6 } from 'node:net';
import type { Container, HTTPGetAction } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import { errnoOf, messageOf } from '../../lib/errors.ts';
import { MAX_OUTPUT_BYTES } from './attempt.ts';
import { brokenWords, dialWords } from './dial-words.ts';
import { joinHostPort, resolvePort } from './probe-target.ts';

/** The version that user agents carry: the Kubernetes release whose behaviour this is. */
const VERSION = '1.36';
const MAX_REDIRECTS = 10;

type FailureCause = 'timedOut' | 'lost' | 'refused' | 'other';

export interface HttpGetRequest {
  readonly url: string;
  /** In order, names as they are sent; `Host` is among them. */
  readonly headers: readonly (readonly [string, string])[];
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
    const dropped = lower === 'host' || (value === '' && (lower === 'accept' || lower === 'user-agent'));
    if (!dropped) headers.push([name, value]);
  }
  headers.push(['Connection', 'close']);
  return { url: `${(action.scheme ?? 'HTTP').toLowerCase()}://${authority}${slash}${path}`, headers };
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
  let { url, headers } = first;
  for (let hops = 0; ; hops++) {
    const left = deadline === undefined ? undefined : deadline - clock.monotonic();
    const result = await getOnce(url, headers, left, signal, clock);
    if (result.kind !== 'answer' || !result.location || ![301, 302, 303, 307, 308].includes(result.status)) {
      return result;
    }
    const next = URL.canParse(result.location, url) ? new URL(result.location, url) : undefined;
    if (!next || !/^https?:$/.test(next.protocol)) return failure(`Get "${result.location}": invalid redirect`);
    if (next.hostname !== new URL(first.url).hostname) return result;
    if (hops + 1 >= MAX_REDIRECTS) return failure(`Get "${result.location}": stopped after 10 redirects`);
    // A Host of the user's own stays with a redirect that names no host.
    const keepHost = !/^(https?:)?\/\//i.test(result.location);
    headers = headers.map(([name, value]) => (name === 'Host' && !keepHost ? [name, next.host] : [name, value]));
    url = next.href;
  }
}

type Answer = Extract<HttpGetResult, { kind: 'answer' }> & { readonly location?: string | undefined };

function getOnce(
  url: string,
  headers: HttpGetRequest['headers'],
  timeoutMs: number | undefined,
  signal: AbortSignal,
  clock: Clock,
): Promise<Answer | Exclude<HttpGetResult, { kind: 'answer' }>> {
  const target = new URL(url);
  const secure = target.protocol === 'https:';
  const host = target.hostname.replace(/^\[|\]$/g, '');
  const port = Number(target.port || (secure ? 443 : 80));
  const address = joinHostPort(host, port);
  const where = `Get "${url}": `;
  return new Promise((resolve) => {
    const requester = secure ? httpsRequest : httpRequest;
    let request: ClientRequest;
    let connected = false;
    let local = '';
    let answer: IncomingMessage | undefined;
    const body: Buffer[] = [];
    let bodyBytes = 0;

    const finish = (result: Answer | Exclude<HttpGetResult, { kind: 'answer' }>): void => {
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      request.destroy();
      resolve(result);
    };
    const answered = (): void =>
      finish({
        kind: 'answer',
        status: answer!.statusCode!,
        body: Buffer.concat(body).toString(),
        location: answer!.headers.location,
      });
    const onAbort = (): void => finish(failure('aborted'));
    const onTimeout = (): void => {
      const reading = 'context deadline exceeded (Client.Timeout or context cancellation while reading body)';
      const what = connected ? 'context deadline exceeded' : `dial tcp ${address}: i/o timeout`;
      const waiting = `${where}${what} (Client.Timeout exceeded while awaiting headers)`;
      finish(answer ? { kind: 'body', words: reading } : failure(waiting, 'timedOut'));
    };
    const onError = (error: Error): void => {
      const words = connected ? readWords(error, local, address) : dialWords(error, host, address);
      const cause = connected && errnoOf(error) === 'ECONNRESET' ? 'lost' : 'other';
      const refused = !connected && errnoOf(error) === 'ECONNREFUSED';
      if (answer) finish({ kind: 'body', words: words === 'EOF' ? 'unexpected EOF' : words });
      else finish(failure(where + words, refused ? 'refused' : cause));
    };

    const timer = timeoutMs === undefined ? undefined : clock.setTimer(Math.max(0, timeoutMs), onTimeout);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      request = requester({
        host,
        port,
        path: pathOf(url),
        family: isIPv6(host) ? 6 : undefined,
        agent: false,
        setHost: false,
        headers: headers.flat(),
        ...(secure ? { rejectUnauthorized: false, checkServerIdentity: () => undefined } : {}),
      });
    } catch (error) {
      // Header names and values that HTTP does not allow.
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      return resolve(failure(`${where}${messageOf(error)}`));
    }
    request.once('socket', (socket) =>
      socket.once('connect', () => {
        connected = true;
        // Asked now: a broken socket no longer knows it.
        local = joinHostPort(socket.localAddress ?? '', socket.localPort ?? 0);
      }),
    );
    request.on('error', onError);
    request.once('response', (response) => {
      answer = response;
      response.on('data', (chunk: Buffer) => {
        const left = MAX_OUTPUT_BYTES - bodyBytes;
        body.push(chunk.subarray(0, left));
        bodyBytes += chunk.length;
        if (bodyBytes >= MAX_OUTPUT_BYTES) answered();
      });
      response.once('end', answered);
      response.on('error', onError);
    });
    request.end();
  });
}

/** Path and query exactly as written, as Go sends them (WHATWG URLs would resolve `..`). */
function pathOf(url: string): string {
  const afterHost = url.replace(/^\w+:\/\/[^/?]*/, '');
  return afterHost.startsWith('/') ? afterHost : `/${afterHost}`;
}

function readWords(error: Error, local: string, address: string): string {
  const errno = errnoOf(error) ?? '';
  if (errno === 'EPROTO' || errno.startsWith('ERR_SSL')) return 'http: server gave HTTP response to HTTPS client';
  if (errno.startsWith('HPE_')) return `net/http: HTTP/1.x transport connection broken: ${messageOf(error)}`;
  return brokenWords(error, local, address);
}

function failure(words: string, cause: FailureCause = 'other'): Exclude<HttpGetResult, Answer> {
  return { kind: 'failure', words, cause };
}
