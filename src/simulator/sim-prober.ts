import type { HTTPGetAction, Probe } from '../api/generated/types.ts';
import type { RuntimeService } from '../cri/runtime-service.ts';
import type { ProbeType } from '../kubelet/ports.ts';
import type { Attempt, AttemptInput, Prober } from '../kubelet/prober/attempt.ts';
import { dialWords } from '../kubelet/prober/dial-words.ts';
import { execProbe } from '../kubelet/prober/exec-probe.ts';
import { joinHostPort, resolvePort } from '../kubelet/prober/probe-target.ts';
import type { Clock } from '../lib/clock.ts';
import { goDuration } from '../lib/go-duration.ts';

/** What a container's endpoint does with one question. */
export interface EndpointAnswer {
  readonly answer: 'success' | 'failure' | 'refused' | 'hang' | 'error';
  readonly afterMs: number;
}

export interface SimProberOptions {
  readonly clock: Clock;
  readonly runtime: RuntimeService;
  readonly ask: (containerId: string, probe: ProbeType) => EndpointAnswer;
  /** Told whose the command is that the runtime is asked for next: several probes may have the same. */
  readonly noteCheck: (command: readonly string[], probe: ProbeType) => void;
}

/** Makes attempts without a network; the outcomes have the words that the real ones have. */
export function simProber({ clock, runtime, ask, noteCheck }: SimProberOptions): Prober {
  return async (input) => {
    const { probe, timeoutMs, signal } = input;
    if (probe.exec) {
      const execSync: RuntimeService['execSync'] = (id, command, ...rest) => {
        noteCheck(command, probeTypeOf(input));
        return runtime.execSync(id, command, ...rest);
      };
      return execProbe(probe.exec, input, { execSync });
    }
    const { answer, afterMs } = ask(input.containerId, probeTypeOf(input));
    const late = answer === 'hang' || afterMs >= timeoutMs;
    await clock.sleep(late ? timeoutMs : afterMs, signal).catch(() => {});
    if (late) return { outcome: 'failure', output: timeoutWords(input), ownTime: true };
    if (answer === 'error') return { outcome: 'error', output: 'the prober failed' };
    if (answer === 'refused') return { outcome: 'failure', output: refusedWords(input), refused: true };
    return answer === 'success' ? success(probe) : failure(input);
  };
}

/** Which of its container's probes this is. */
export function probeTypeOf({ probe, container }: Pick<AttemptInput, 'probe' | 'container'>): ProbeType {
  if (probe === container.livenessProbe) return 'liveness';
  return probe === container.readinessProbe ? 'readiness' : 'startup';
}

function success(probe: Probe): Attempt {
  return { outcome: 'success', output: probe.grpc ? 'service healthy' : probe.httpGet ? 'ok' : '' };
}

function failure(input: AttemptInput): Attempt {
  if (input.probe.grpc) return { outcome: 'failure', output: 'service unhealthy (responded with "NOT_SERVING")' };
  if (input.probe.httpGet) return { outcome: 'failure', output: 'HTTP probe failed with statuscode: 503' };
  return { outcome: 'failure', output: refusedWords(input) };
}

function addressOf({ probe, podIP, container }: AttemptInput): { host: string; address: string } {
  const { httpGet, tcpSocket, grpc } = probe;
  const host = httpGet?.host || tcpSocket?.host || podIP || '';
  const port = resolvePort((httpGet ?? tcpSocket ?? grpc)!.port, container);
  return { host, address: joinHostPort(host, port) };
}

function urlOf(action: HTTPGetAction, address: string): string {
  const path = action.path ?? '/';
  return `${(action.scheme ?? 'HTTP').toLowerCase()}://${address}${path.startsWith('/') ? path : `/${path}`}`;
}

function refusedWords(input: AttemptInput): string {
  const { host, address } = addressOf(input);
  const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  const words = dialWords(refused, host, address);
  const { httpGet, grpc } = input.probe;
  if (grpc) return `timeout: failed to connect service "${address}" within ${goDuration(input.timeoutMs)}: ${words}`;
  return httpGet ? `Get "${urlOf(httpGet, address)}": ${words}` : words;
}

function timeoutWords(input: AttemptInput): string {
  const { address } = addressOf(input);
  const { httpGet, grpc } = input.probe;
  if (grpc) return `timeout: health rpc did not complete within ${goDuration(input.timeoutMs)}`;
  if (!httpGet) return `dial tcp ${address}: i/o timeout`;
  const why = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
  return `Get "${urlOf(httpGet, address)}": ${why}`;
}
