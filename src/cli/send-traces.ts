import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { text as readText } from 'node:stream/consumers';
import type { Clock } from '../lib/clock.ts';
import { messageOf, UserError } from '../lib/errors.ts';

const TIMEOUT_MS = 10_000;

/** Sends OTLP/JSON to a collector, at `/v1/traces` below `endpoint`. @throws UserError when it is not taken */
export async function sendTraces(endpoint: string, request: object, clock: Clock): Promise<void> {
  const base = URL.parse(endpoint);
  if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
    throw new UserError(`--otlp-endpoint: ${JSON.stringify(endpoint)} is not an http URL`, {
      hint: 'a collector listens at http://127.0.0.1:4318 by default',
    });
  }
  const url = `${base.href.replace(/\/+$/, '')}/v1/traces`;
  const giveUp = new AbortController();
  const timer = clock.setTimer(TIMEOUT_MS, () => giveUp.abort());
  let answer: Answer;
  try {
    answer = await post(url, JSON.stringify(request), giveUp.signal);
  } catch (error) {
    const why = giveUp.signal.aborted ? `no answer within ${TIMEOUT_MS / 1000} s` : messageOf(error);
    throw new UserError(`--otlp-endpoint: ${url} cannot be reached: ${why}`, { cause: error });
  } finally {
    timer.cancel();
  }
  if (answer.status >= 200 && answer.status < 300) return;
  throw new UserError(`--otlp-endpoint: ${url} answered HTTP ${answer.status}: ${answer.text.trim().slice(0, 200)}`);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Not by `fetch`, which refuses ports that a browser must not use, such as 6000. */
async function post(url: string, body: string, signal: AbortSignal): Promise<Answer> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const outgoing = send(url, { method: 'POST', headers, agent: false, signal });
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, text: await readText(response) };
}
