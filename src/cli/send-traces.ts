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
  let response: Response;
  let answer: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(request),
      signal: giveUp.signal,
    });
    answer = await response.text();
  } catch (error) {
    const why = giveUp.signal.aborted ? `no answer within ${TIMEOUT_MS / 1000} s` : messageOf(causeOf(error));
    throw new UserError(`--otlp-endpoint: ${url} cannot be reached: ${why}`, { cause: error });
  } finally {
    timer.cancel();
  }
  if (response.ok) return;
  throw new UserError(`--otlp-endpoint: ${url} answered HTTP ${response.status}: ${answer.trim().slice(0, 200)}`);
}

/** fetch says "fetch failed" and keeps the reason to itself. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? error.cause : error;
}
