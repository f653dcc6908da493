import type { HTTPGetAction } from '../../api/generated/types.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Attempt, AttemptInput } from './attempt.ts';
import { httpGet, httpGetRequest } from './http-get.ts';

/** 200-399 is success (kubernetes: pkg/probe/http/http.go). */
export async function httpProbe(action: HTTPGetAction, input: AttemptInput, clock: Clock): Promise<Attempt> {
  const request = httpGetRequest(action, input.container, input.podIP, 'probe');
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
