import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { getCondition } from '../../src/api/conditions.ts';
import type { PodTrace, TraceSection, TraceSpan } from '../../src/kubelet/trace/pod-trace.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { isReady, useNode } from './harness/test-node.ts';

const node = useNode();
/** Spans may touch; the runtime's own times are a little off ours. */
const SLACK_MS = 2;
/** What a sum of two numbers may be off. */
const ROUNDING_MS = 1e-6;

const trace = async (...args: string[]): Promise<PodTrace> => {
  const { stdout } = await node.current.kubeletteResult(['trace', 'traced', '-o', 'json', ...args]);
  return JSON.parse(stdout) as PodTrace;
};
const endOf = (span: TraceSpan): number => span.startMs + (span.durationMs ?? Number.NaN);

function find({ spans }: TraceSection, name: string, container?: string, detail?: string): TraceSpan {
  const found = spans.find(
    (s) => s.name === name && s.container === container && (detail === undefined || s.detail === detail),
  );
  if (!found) throw new Error(`no span ${name} of ${container}: ${JSON.stringify(spans, null, 1)}`);
  return found;
}

describe('the trace of a pod', () => {
  test('holds its start, span by span, up to the moment in which it is Ready', async () => {
    const before = Date.now();
    await node.current.apply(
      podManifest(
        'traced',
        {
          initContainers: [sh('one', 'true'), sh('two', 'sleep 0.3')],
          containers: [
            sh('app', `sleep 0.5; touch /tmp/up; ${WAIT}`, {
              readinessProbe: { exec: { command: ['cat', '/tmp/up'] }, periodSeconds: 1 },
            }),
          ],
        },
        { labels: { app: 'traced' } },
      ),
    );
    const service = { metadata: { name: 'traced' }, spec: { selector: { app: 'traced' }, ports: [{ port: 80 }] } };
    await node.current.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Service', ...service }));
    const pod = await node.current.podReady('traced');
    const seenReadyAt = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 200)); // for the kernel's rules
    const { sections } = await trace();
    expect(sections).toHaveLength(1);
    const [start] = sections as [TraceSection];

    expect(start).toMatchObject({ cause: 'start', outcome: 'Ready', droppedSpans: 0 });
    expect(start.startedAt).toBeGreaterThanOrEqual(before - SLACK_MS);
    const readyAt = start.startedAt + start.durationMs!;
    expect(readyAt).toBeLessThanOrEqual(seenReadyAt + SLACK_MS);
    expect(readyAt).toBeGreaterThan(seenReadyAt - 500);
    const told = Date.parse(getCondition(pod.status?.conditions, 'Ready')!.lastTransitionTime!);
    expect(Math.abs(Math.floor(readyAt / 1000) * 1000 - told)).toBeLessThanOrEqual(1000);

    const ordered = [
      find(start, 'create'),
      find(start, 'bind'),
      find(start, 'seen by the kubelet'),
      find(start, 'volumes'),
      find(start, 'RunPodSandbox'),
      find(start, 'CreateContainer', 'one'),
      find(start, 'StartContainer', 'one'),
      find(start, 'StartContainer', 'two'),
      find(start, 'running', 'two'),
      find(start, 'exit seen', 'two', 'exit code 0'),
      find(start, 'StartContainer', 'app'),
      find(start, 'readiness probe', 'app', 'failure'),
      find(start, 'readiness probe', 'app', 'success'),
      find(start, 'status write', undefined, 'Ready'),
      find(start, 'endpoint slice write', undefined, 'traced'),
      find(start, 'kernel rules', undefined, 'traced'),
    ];
    for (const [i, span] of ordered.slice(1).entries()) {
      expect(span.startMs, `${span.name} after ${ordered[i]!.name}`).toBeGreaterThan(ordered[i]!.startMs - SLACK_MS);
    }
    expect(find(start, 'running', 'two').durationMs).toBeGreaterThan(250);
    expect(find(start, 'StartContainer', 'app').startMs).toBeGreaterThan(
      endOf(find(start, 'running', 'two')) - SLACK_MS,
    );
    expect(endOf(find(start, 'status write', undefined, 'Ready'))).toBeCloseTo(start.durationMs!, 0);

    const byId = new Map(start.spans.map((span) => [span.id, span]));
    for (const span of start.spans) {
      if (span.parent === undefined || span.parent === 1) continue;
      const parent = byId.get(span.parent)!;
      expect(span.startMs).toBeGreaterThanOrEqual(parent.startMs);
      expect(endOf(span)).toBeLessThanOrEqual(endOf(parent) + ROUNDING_MS);
    }
  });

  test('is drawn, and sent to a collector', async () => {
    const drawn = await node.current.kubeletteResult(['trace', 'pod/traced']);
    expect(drawn.code).toBe(0);
    expect(drawn.stdout).toMatch(/^pod default\/traced: start at .* UTC, Ready after \d+\.\d ms\n/);
    expect(drawn.stdout).toMatch(/^ {4}RunPodSandbox +\d+\.\d +\d+\.\d +█/m);

    let taken = '';
    const collector = createServer(async (request, response) => {
      for await (const chunk of request) taken += String(chunk);
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
    const sent = await node.current.kubeletteResult(['trace', 'traced', '--otlp-endpoint', url]);
    collector.close();
    const spans = JSON.parse(taken).resourceSpans[0].scopeSpans[0].spans as { traceId: string; name: string }[];
    expect(sent.stdout).toBe(`${spans.length} spans of pod/traced sent to ${url}\n`);
    expect(spans.length).toBe((await trace()).sections[0]!.spans.length);
    expect(new Set(spans.map((s) => s.traceId)).size).toBe(1);
  });

  test('is gone with the agent; the restarts that follow are traced', async () => {
    process.kill(node.current.agentPid, 'SIGKILL');
    await node.current.up();
    await node.current.podUntil('traced', isReady);
    const none = await node.current.kubeletteResult(['trace', 'traced']);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('no trace of pod default/traced is kept: the agent was started after the pod');

    // The shell may go with the container.
    await node.current.kubectlResult(['exec', 'traced', '--', 'sh', '-c', 'kill 1']);
    await node.current.podUntil(
      'traced',
      (pod) => isReady(pod) && pod?.status?.containerStatuses?.[0]?.restartCount === 1,
    );
    const { sections } = await trace();
    expect(sections).toMatchObject([{ number: 0, cause: 'containerEnded', container: 'app', outcome: 'Ready' }]);
    const [restart] = sections as [TraceSection];
    const names = restart.spans.filter((s) => s.container === 'app').map((s) => s.name);
    expect(names).toEqual(
      expect.arrayContaining(['exit seen', 'CreateContainer', 'StartContainer', 'readiness probe']),
    );
  });
});
