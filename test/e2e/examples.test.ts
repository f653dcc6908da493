import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ColumnsRecorder } from './harness/columns-recorder.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();
const example = (name: string): string => join(import.meta.dirname, '../../examples', `${name}.yaml`);

// The two manifests of the tutorial, unchanged, from start to restart. `make demo` shows the same.
describe.concurrent('the examples', () => {
  test('init-demo: the init container fetches the page that nginx serves', async () => {
    await node.current.kubectl('apply', '-f', example('init-demo'));
    const pod = await node.current.podReady('init-demo', { timeoutMs: 60_000 });
    const page = await (await fetch(`http://${pod.status?.podIP}/`)).text();
    expect(page).toContain('http://info.cern.ch - home of the first website');
    const shell = await node.current.kubectlResult(['exec', '-i', 'init-demo', '--', '/bin/bash'], {
      input: 'cat /usr/share/nginx/html/index.html\n',
    });
    expect(shell.stdout).toBe(page);
  });

  test('webapl: Ready after 20 s, restarted after /healthz failed three times', { timeout: 150_000 }, async () => {
    await using columns = await ColumnsRecorder.start(node.current);
    await node.current.kubectl('apply', '-f', example('webapl'));
    const status = await node.current.podUntil('webapl', (p) => p?.status?.phase === 'Running', { timeoutMs: 60_000 });
    expect(status?.status?.containerStatuses?.[0]).toMatchObject({ started: true, ready: false });
    await node.current.podReady('webapl');
    const restarted = await node.current.podUntil(
      'webapl',
      (p) =>
        p?.status?.containerStatuses?.[0]?.restartCount === 1 &&
        p.status.containerStatuses[0].state?.running !== undefined,
      { timeoutMs: 60_000 },
    );
    expect(restarted?.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({ exitCode: 0 });
    expect(columns.of('webapl').filter((c) => c.includes('Running'))).toEqual([
      '0/1 Running 0',
      '1/1 Running 0',
      '0/1 Running 1',
    ]);
    const events = await node.current.events('webapl');
    const unhealthy = events.filter((e) => e.reason === 'Unhealthy').map((e) => [e.message, e.count]);
    expect(unhealthy).toContainEqual(['Liveness probe failed: HTTP probe failed with statuscode: 500', 3]);
    expect(events.map((e) => e.message)).toContain('Container webapl failed liveness probe, will be restarted');
    const text = await node.current.kubectl('describe', 'pod', 'webapl');
    expect(text).toMatch(
      /Liveness: +http-get http:\/\/:3000\/healthz delay=3s timeout=1s period=5s #success=1 #failure=3/,
    );
  });
});
