import type { Container, HTTPGetAction } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Attempt, AttemptInput } from './attempt.ts';
import { type HttpGetRequest, httpGet, httpGetRequest } from './http-get.ts';

/** 200-399 is success (kubernetes: pkg/probe/http/http.go). */
export async function httpProbe(action: HTTPGetAction, input: AttemptInput, clock: Clock): Promise<Attempt> {
  const request = requestFor(action, input.container, input.podIP);
  const result = await httpGet(request, input.timeoutMs, input.signal, clock);
  switch (result.kind) {
    case 'failure':
      return {
        outcome: 'failure',
        output: result.words,
        ownTime: result.cause === 'timedOut' || result.cause === 'lost',
        refused: result.cause === 'refused',
      };
    case 'body':
      return { outcome: 'error', output: result.words };
    case 'answer':
      if (result.status < 200 || result.status >= 400) {
        return { outcome: 'failure', output: `HTTP probe failed with statuscode: ${result.status}` };
      }
      if (result.status >= 300) {
        return { outcome: 'warning', output: `Probe terminated redirects, Response body: ${result.body}` };
      }
      return { outcome: 'success', output: result.body };
  }
}

/** What a handler asked for last: nearly always the same. */
const requests = new WeakMap<
  HTTPGetAction,
  { container: Container; podIP: string | undefined; request: HttpGetRequest }
>();

function requestFor(action: HTTPGetAction, container: Container, podIP: string | undefined): HttpGetRequest {
  const last = requests.get(action);
  if (last?.container === container && last.podIP === podIP) return last.request;
  const request = httpGetRequest(action, container, podIP, 'probe');
  requests.set(action, { container, podIP, request });
  return request;
}
