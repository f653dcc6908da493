import { describe, expect, test } from 'vitest';
import type { Event } from '../../src/api/generated/types.ts';
import type { ProbeRecord } from '../../src/kubelet/ports.ts';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();

/** `REASON MESSAGE`, each once. */
const words = (events: readonly Event[]): string[] => [...new Set(events.map((e) => `${e.reason} ${e.message}`))];

/** A gRPC health service in a few lines of Node (the webapl image has it): SERVING after the given milliseconds. */
const grpcServer = (servingAfterMs: number): string => `
const start = Date.now();
require('node:http2').createServer().on('stream', (stream) => {
  const serving = Date.now() - start >= ${servingAfterMs};
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serving ? 1 : 2]));
}).listen(5000);
process.on('SIGTERM', () => process.exit(0));`;

describe.concurrent('probes', () => {
  test('liveness over HTTP: three failures kill the container, and a new one starts', async () => {
    const script = `mkdir /w; echo ok > /w/ok; httpd -p 8080 -h /w; sleep 2; rm /w/ok; ${WAIT}`;
    await node.current.apply(
      podManifest('live-http', {
        containers: [
          sh('app', script, {
            ports: [{ name: 'web', containerPort: 8080 }],
            livenessProbe: { httpGet: { path: '/ok', port: 'web' }, periodSeconds: 1 },
          }),
        ],
      }),
    );
    const pod = await node.current.podUntil('live-http', (p) => {
      const status = p?.status?.containerStatuses?.[0];
      return status?.restartCount === 1 && status.state?.running !== undefined;
    });
    expect(pod?.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({
      exitCode: 0,
      reason: 'Completed',
    });
    const events = await node.current.events('live-http');
    expect(words(events)).toEqual(
      expect.arrayContaining([
        'Unhealthy Liveness probe failed: HTTP probe failed with statuscode: 404',
        'Killing Container app failed liveness probe, will be restarted',
      ]),
    );
    expect(events.find((e) => e.reason === 'Unhealthy')).toMatchObject({ type: 'Warning', count: 3 });
  });

  test('the results are kept, with time, latency, outcome and output, and say why the pod is not ready', async () => {
    const script = `touch /tmp/no; sleep 3; rm /tmp/no; ${WAIT}`;
    const exec = { command: ['sh', '-c', 'test -f /tmp/no && { echo still warming up; exit 1; }; echo warm'] };
    await node.current.apply(
      podManifest('history', { containers: [sh('app', script, { readinessProbe: { exec, periodSeconds: 1 } })] }),
    );
    const records = async (): Promise<ProbeRecord[]> => {
      const nodes = await node.current.kubectl('get', 'nodes', '-o', 'name');
      const path = `/api/v1/${nodes.trim().replace('node/', 'nodes/')}/proxy/probes/default/history`;
      return JSON.parse(await node.current.kubectl('get', '--raw', path)) as ProbeRecord[];
    };
    await eventually(async () => expect((await records())[0]?.results.length).toBeGreaterThanOrEqual(2));
    const described = (await node.current.kubeletteResult(['describe', 'pod', 'history'])).stdout;
    expect(described).toContain('still warming up');
    await node.current.podReady('history');
    const [record] = await records();
    expect(record).toMatchObject({ container: 'app', type: 'readiness', verdict: 'success' });
    const [newest, ...older] = record!.results;
    expect(newest).toMatchObject({ outcome: 'success', output: 'warm\n' });
    expect(older.at(-1)).toMatchObject({ outcome: 'failure', output: 'still warming up\n' });
    for (const { at, latencyMs } of record!.results) {
      expect(Math.abs(Date.now() - at)).toBeLessThan(60_000);
      expect(latencyMs).toBeGreaterThan(0);
    }
  });

  test('readiness over TCP only changes Ready', async () => {
    await node.current.apply(
      podManifest('ready-tcp', {
        containers: [
          sh('app', 'sleep 2; exec httpd -f -p 8081', {
            ports: [{ name: 'late', containerPort: 8081 }],
            readinessProbe: { tcpSocket: { port: 'late' }, periodSeconds: 1 },
          }),
        ],
      }),
    );
    const running = await node.current.podUntil('ready-tcp', (p) => p?.status?.phase === 'Running');
    expect(running?.status?.containerStatuses?.[0]).toMatchObject({ ready: false, started: true });
    expect(running?.status?.conditions).toContainEqual(
      expect.objectContaining({
        type: 'Ready',
        status: 'False',
        reason: 'ContainersNotReady',
        message: 'containers with unready status: [app]',
      }),
    );
    const pod = await node.current.podReady('ready-tcp');
    expect(pod.status?.containerStatuses?.[0]).toMatchObject({ ready: true, restartCount: 0 });
    expect(words(await node.current.events('ready-tcp'))).toContain(
      `Unhealthy Readiness probe failed: dial tcp ${pod.status?.podIP}:8081: connect: connection refused`,
    );
  });

  test('a startup probe holds back liveness and readiness until it succeeds', async () => {
    const check = { exec: { command: ['cat', '/tmp/ok'] }, periodSeconds: 1 };
    await node.current.apply(
      podManifest('startup', {
        containers: [
          sh('app', `sleep 3; touch /tmp/ok; ${WAIT}`, {
            startupProbe: { ...check, failureThreshold: 20 },
            livenessProbe: { ...check, failureThreshold: 1 },
            readinessProbe: check,
          }),
        ],
      }),
    );
    const running = await node.current.podUntil('startup', (p) => p?.status?.phase === 'Running');
    expect(running?.status?.containerStatuses?.[0]).toMatchObject({ started: false, ready: false });
    const pod = await node.current.podReady('startup');
    expect(pod.status?.containerStatuses?.[0]).toMatchObject({ started: true, restartCount: 0 });
    const unhealthy = (await node.current.events('startup')).filter((e) => e.reason === 'Unhealthy');
    expect(words(unhealthy)).toEqual([
      "Unhealthy Startup probe failed: cat: can't open '/tmp/ok': No such file or directory\n",
    ]);
  });

  test('a failing startup probe restarts the container', async () => {
    await node.current.apply(
      podManifest('startup-fails', {
        containers: [
          sh('app', WAIT, { startupProbe: { tcpSocket: { port: 81 }, periodSeconds: 1, failureThreshold: 2 } }),
        ],
      }),
    );
    await node.current.podUntil('startup-fails', (p) => p?.status?.containerStatuses?.[0]?.restartCount === 1);
    expect(words(await node.current.events('startup-fails'))).toContain(
      'Killing Container app failed startup probe, will be restarted',
    );
  });

  test('readiness over gRPC: only SERVING counts', async () => {
    await node.current.apply(
      podManifest('grpc', {
        containers: [
          {
            name: 'app',
            image: 'maho/webapl:0.1',
            command: ['node', '-e', grpcServer(4000)],
            readinessProbe: { grpc: { port: 5000 }, periodSeconds: 1 },
          },
        ],
      }),
    );
    await node.current.podReady('grpc', { timeoutMs: 60_000 });
    expect(words(await node.current.events('grpc'))).toContain(
      'Unhealthy Readiness probe failed: service unhealthy (responded with "NOT_SERVING")',
    );
  });

  test('an exec probe that cannot run is no failure; one that takes too long is', async () => {
    await node.current.apply(
      podManifest('exec-edge', {
        containers: [
          sh('missing', WAIT, {
            livenessProbe: { exec: { command: ['/no/such'] }, periodSeconds: 1, failureThreshold: 1 },
          }),
          sh('slow', WAIT, { readinessProbe: { exec: { command: ['sleep', '5'] }, periodSeconds: 1 } }),
        ],
      }),
    );
    const timedOut = 'Unhealthy Readiness probe failed: command timed out: "sleep 5" timed out after 1s';
    const wanted = [timedOut, expect.stringMatching(/^Unhealthy Liveness probe errored/)];
    await eventually(
      async () => expect(words(await node.current.events('exec-edge'))).toEqual(expect.arrayContaining(wanted)),
      20_000,
    );
    const pod = await node.current.pod('exec-edge');
    expect(pod.status?.containerStatuses?.map((c) => [c.name, c.restartCount, c.ready])).toEqual([
      ['missing', 0, true],
      ['slow', 0, false],
    ]);
  });

  test('the first check comes at its initial delay, and readiness needs its successes in a row', async () => {
    const probe = { exec: { command: ['true'] }, initialDelaySeconds: 2, periodSeconds: 1, successThreshold: 2 };
    await node.current.apply(podManifest('thresholds', { containers: [sh('app', WAIT, { readinessProbe: probe })] }));
    const pod = await node.current.podReady('thresholds');
    const started = Date.parse(String(pod.status?.containerStatuses?.[0]?.state?.running?.startedAt));
    const ready = Date.parse(String(pod.status?.conditions?.find((c) => c.type === 'Ready')?.lastTransitionTime));
    // Whole seconds: the checks come 2 and 3 s after the start.
    expect(ready - started).toBeGreaterThanOrEqual(3000);
    expect(ready - started).toBeLessThanOrEqual(5000);
  });
});
