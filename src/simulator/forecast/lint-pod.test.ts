import { expect, test } from 'vitest';
import type { Container, PodSpec } from '../../api/generated/types.ts';
import { lintContainer } from './lint-pod.ts';
import { PodTargets } from './pod-targets.ts';
import { podOf, targetOf } from './test-pods.ts';

const get = (path: string, port: number | string = 80) => ({ httpGet: { path, port } });

interface Case {
  readonly name: string;
  readonly container: Partial<Container>;
  readonly spec?: Partial<PodSpec>;
  readonly startsAfterMs?: number;
  /** `RULE FIELD` below the container. */
  readonly found: readonly string[];
  readonly says?: string;
}

test.each<Case>([
  { name: 'no probes', container: {}, found: [] },
  {
    name: 'sound probes',
    container: { livenessProbe: get('/live'), readinessProbe: get('/ready') },
    startsAfterMs: 21_000,
    found: [],
  },
  {
    name: 'a start that liveness does not wait for',
    container: { livenessProbe: { ...get('/live'), initialDelaySeconds: 5, periodSeconds: 2, failureThreshold: 3 } },
    startsAfterMs: 9001,
    found: ['liveness-kills-start startupProbe'],
    says: 'kills a start that takes longer than 9 s (10 s when it hangs), and it takes 9.001 s to start',
  },
  {
    name: 'just in time',
    container: { livenessProbe: { ...get('/live'), initialDelaySeconds: 5, periodSeconds: 2, failureThreshold: 3 } },
    startsAfterMs: 9000,
    found: [],
  },
  {
    name: 'readiness expects a start that liveness does not wait for',
    container: {
      livenessProbe: { ...get('/live'), initialDelaySeconds: 3, periodSeconds: 5 },
      readinessProbe: { ...get('/ready'), initialDelaySeconds: 15 },
    },
    found: ['liveness-kills-start startupProbe'],
    says: 'readinessProbe.initialDelaySeconds says that a start takes 15 s',
  },
  {
    name: 'a refused connection counts only after a second',
    container: { livenessProbe: { ...get('/live'), periodSeconds: 1, failureThreshold: 1 } },
    startsAfterMs: 900,
    found: [],
  },
  {
    name: 'a failed command counts at once',
    container: { livenessProbe: { exec: { command: ['check'] }, periodSeconds: 1, failureThreshold: 1 } },
    startsAfterMs: 900,
    found: ['liveness-kills-start startupProbe'],
  },
  {
    name: 'a startup probe that waits long enough holds liveness back',
    container: {
      startupProbe: { ...get('/live'), periodSeconds: 1, failureThreshold: 60 },
      livenessProbe: { ...get('/live'), periodSeconds: 1, failureThreshold: 1 },
    },
    startsAfterMs: 30_000,
    found: [],
  },
  {
    name: 'a startup probe that does not wait long enough',
    container: { startupProbe: { ...get('/live'), periodSeconds: 1, failureThreshold: 10 } },
    startsAfterMs: 30_000,
    found: ['liveness-kills-start startupProbe.failureThreshold'],
    says: 'raise failureThreshold to 46',
  },
  {
    name: 'the same path for both',
    container: { livenessProbe: get('/'), readinessProbe: get('/') },
    found: ['same-endpoint livenessProbe.httpGet.path'],
    says: 'GET :80/',
  },
  {
    name: 'the same path on another port',
    container: { livenessProbe: get('/', 80), readinessProbe: get('/', 81) },
    found: [],
  },
  {
    name: 'the same port, by name',
    container: { livenessProbe: { tcpSocket: { port: 'db' } }, readinessProbe: { tcpSocket: { port: 'db' } } },
    found: ['same-endpoint livenessProbe.tcpSocket.port'],
  },
  {
    name: 'the same command',
    container: { livenessProbe: { exec: { command: ['ok'] } }, readinessProbe: { exec: { command: ['ok'] } } },
    found: ['same-endpoint livenessProbe.exec.command'],
  },
  {
    name: 'another gRPC service',
    container: {
      livenessProbe: { grpc: { port: 1, service: 'a' } },
      readinessProbe: { grpc: { port: 1, service: 'b' } },
    },
    found: [],
  },
  {
    name: 'time-outs longer than periods',
    container: {
      livenessProbe: { ...get('/live'), timeoutSeconds: 11 },
      readinessProbe: { ...get('/ready'), timeoutSeconds: 10, periodSeconds: 10 },
      startupProbe: { ...get('/live'), timeoutSeconds: 3, periodSeconds: 2 },
    },
    found: ['timeout-over-period startupProbe.timeoutSeconds', 'timeout-over-period livenessProbe.timeoutSeconds'],
  },
  {
    name: 'a preStop hook that takes the whole grace period',
    container: { lifecycle: { preStop: { exec: { command: ['sh', '-c', 'sleep 30'] } } } },
    found: ['grace-under-pre-stop spec.terminationGracePeriodSeconds'],
    says: 'takes 30 s of a grace period of 30 s',
  },
  {
    name: 'a preStop hook that leaves something',
    container: { lifecycle: { preStop: { sleep: { seconds: 29 } } } },
    found: [],
  },
  {
    name: "a probe's own grace period",
    container: {
      lifecycle: { preStop: { sleep: { seconds: 10 } } },
      livenessProbe: { ...get('/live'), terminationGracePeriodSeconds: 5 },
    },
    spec: { terminationGracePeriodSeconds: 60 },
    found: ['grace-under-pre-stop livenessProbe.terminationGracePeriodSeconds'],
  },
])('$name', ({ container, spec, startsAfterMs, found, says }) => {
  const advice = lintContainer(targetOf(container, spec), startsAfterMs);
  expect(advice.map((a) => `${a.rule} ${a.field.replace('spec.containers[0].', '')}`)).toEqual(found);
  if (says !== undefined) expect(`${advice[0]!.message}; ${advice[0]!.advice}`).toContain(says);
});

test('names the field of a sidecar among the init containers', () => {
  const sidecar = { name: 's', image: 'i', restartPolicy: 'Always', livenessProbe: get('/'), readinessProbe: get('/') };
  const pod = podOf('p', {
    initContainers: [{ name: 'i', image: 'i' }, sidecar],
    containers: [{ name: 'c', image: 'i' }],
  });
  const advice = new PodTargets([pod]).containers.flatMap((target) => lintContainer(target));
  expect(advice).toMatchObject([{ container: 's', field: 'spec.initContainers[1].livenessProbe.httpGet.path' }]);
});
