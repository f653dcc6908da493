import type { Container, Lifecycle, Probe } from '../../api/generated/types.ts';
import { probeSettings, STARTING_MS } from '../../kubelet/prober/probe-schedule.ts';
import { sleepMsOf } from '../sleep-ms-of.ts';
import type { Target } from './pod-targets.ts';

/** Something in a pod's probes that will hurt. */
export interface PodAdvice {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly rule: 'liveness-kills-start' | 'same-endpoint' | 'timeout-over-period' | 'grace-under-pre-stop';
  /** What to change, by the API server's path. */
  readonly field: string;
  readonly message: string;
  /** How. */
  readonly advice: string;
  /** `FILE:LINE:COLUMN` of the field, where it comes from a file. */
  readonly place?: string;
}

const PROBES = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const;
type Found = Pick<PodAdvice, 'rule' | 'field' | 'message' | 'advice'>;

/**
 * What is wrong with the probes of one container as they are written.
 * @param target of a pod with its defaults
 * @param startsAfterMs how long it takes to listen, where that is known
 */
export function lintContainer(target: Target, startsAfterMs?: number): PodAdvice[] {
  const { pod, container } = target;
  const { name = '', namespace = 'default' } = pod.metadata;
  const path = pathOf(target);
  const found = [
    ...killsStart(container, path, startsAfterMs),
    ...sameEndpoint(container, path),
    ...timeoutOverPeriod(container, path),
    ...graceUnderPreStop(target, path),
  ];
  return found.map((f) => ({ namespace, pod: name, container: container.name, ...f }));
}

/** A restart does not make a slow start faster: it begins anew, and so for ever. */
function killsStart(container: Container, path: string, startsAfterMs: number | undefined): Found[] {
  const guard = container.startupProbe ? 'startupProbe' : 'livenessProbe';
  const probe = container[guard];
  if (!probe) return [];
  const { initialDelayMs, periodMs, failureThreshold, timeoutMs } = probeSettings(probe);
  const patienceMs = Math.max(initialDelayMs, probe.exec ? 0 : STARTING_MS) + (failureThreshold - 1) * periodMs;
  // Whoever wrote the readiness probe expects the start to take that long.
  const expectedMs = (container.readinessProbe?.initialDelaySeconds ?? 0) * 1000;
  const startMs = startsAfterMs ?? expectedMs;
  if (startMs <= patienceMs) return [];
  const why =
    startsAfterMs === undefined
      ? `readinessProbe.initialDelaySeconds says that a start takes ${seconds(expectedMs)}`
      : `it takes ${seconds(startsAfterMs)} to start`;
  // A check every `period`, until the start has had half as long again.
  const enough = Math.ceil((startMs * 1.5) / periodMs) + 1;
  const field = guard === 'startupProbe' ? `${path}.startupProbe.failureThreshold` : `${path}.startupProbe`;
  const advice =
    guard === 'startupProbe'
      ? `raise failureThreshold to ${enough}`
      : `add a startupProbe that asks the same, with periodSeconds: ${periodMs / 1000} and failureThreshold: ${enough}`;
  const message = `the ${guard === 'startupProbe' ? 'startup' : 'liveness'} probe kills a start that takes longer than ${seconds(patienceMs)} (${seconds(patienceMs + timeoutMs)} when it hangs), and ${why}`;
  return [{ rule: 'liveness-kills-start', field, message, advice }];
}

function sameEndpoint({ livenessProbe, readinessProbe }: Container, path: string): Found[] {
  if (!livenessProbe || !readinessProbe) return [];
  const [liveness, readiness] = [endpointOf(livenessProbe), endpointOf(readinessProbe)];
  if (!liveness || liveness.key !== readiness?.key) return [];
  const message = `liveness and readiness ask the same (${liveness.words}), so that a pod which only needs a break from traffic is restarted`;
  const advice = 'let liveness ask something that fails only when a restart helps';
  return [{ rule: 'same-endpoint', field: `${path}.livenessProbe.${liveness.field}`, message, advice }];
}

/** What a probe asks, and the field that says so. */
function endpointOf({
  httpGet,
  tcpSocket,
  exec,
  grpc,
}: Probe): { key: string; words: string; field: string } | undefined {
  if (httpGet) {
    const { scheme = 'HTTP', host = '', port, path = '/', httpHeaders = [] } = httpGet;
    const key = JSON.stringify(['http', scheme, host, port, path, httpHeaders]);
    return { key, words: `GET :${port}${path}`, field: 'httpGet.path' };
  }
  if (tcpSocket) {
    const { host = '', port } = tcpSocket;
    return { key: JSON.stringify(['tcp', host, port]), words: `tcp :${port}`, field: 'tcpSocket.port' };
  }
  if (grpc) {
    const key = JSON.stringify(['grpc', grpc.port, grpc.service ?? '']);
    return { key, words: `grpc :${grpc.port}${grpc.service ? ` ${grpc.service}` : ''}`, field: 'grpc.service' };
  }
  const command = exec?.command ?? [];
  return exec ? { key: JSON.stringify(['exec', command]), words: command.join(' '), field: 'exec.command' } : undefined;
}

function timeoutOverPeriod(container: Container, path: string): Found[] {
  return PROBES.flatMap((name): Found[] => {
    const probe = container[name];
    if (!probe) return [];
    const { timeoutMs, periodMs } = probeSettings(probe);
    if (timeoutMs <= periodMs) return [];
    const message = `a check may take ${seconds(timeoutMs)}, but one is due every ${seconds(periodMs)}: while one hangs, others are left out`;
    const advice = `at most ${periodMs / 1000}, or a longer periodSeconds`;
    return [{ rule: 'timeout-over-period', field: `${path}.${name}.timeoutSeconds`, message, advice }];
  });
}

/** Each way in which the container is stopped has a grace period; the hook takes its time out of it. */
function graceUnderPreStop({ pod, container }: Target, path: string): Found[] {
  const hookMs = hookMsOf(container.lifecycle?.preStop);
  if (hookMs === 0) return [];
  const graces: [field: string, seconds: number][] = [
    ['spec.terminationGracePeriodSeconds', pod.spec.terminationGracePeriodSeconds ?? 30],
  ];
  for (const name of ['startupProbe', 'livenessProbe'] as const) {
    const own = container[name]?.terminationGracePeriodSeconds;
    if (own !== undefined) graces.push([`${path}.${name}.terminationGracePeriodSeconds`, own]);
  }
  return graces.flatMap(([field, grace]): Found[] => {
    if (grace * 1000 > hookMs) return [];
    const message = `the preStop hook takes ${seconds(hookMs)} of a grace period of ${grace} s: the process is killed with hardly any time to end`;
    const advice = `more than ${Math.ceil(hookMs / 1000)}: the hook's time and what the process needs after it`;
    return [{ rule: 'grace-under-pre-stop', field, message, advice }];
  });
}

function hookMsOf(hook: Lifecycle['preStop']): number {
  return hook?.sleep ? (hook.sleep.seconds ?? 0) * 1000 : sleepMsOf(hook?.exec?.command ?? []);
}

function pathOf({ pod, container }: Target): string {
  const inits = pod.spec.initContainers ?? [];
  const index = inits.indexOf(container);
  return index >= 0 ? `spec.initContainers[${index}]` : `spec.containers[${pod.spec.containers.indexOf(container)}]`;
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
