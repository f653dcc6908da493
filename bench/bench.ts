/**
 * `make bench`: what kubelette costs over bare CRI calls, side by side on one containerd, as ratios. `--quick` takes few runs: to see that
 * it works, not to judge. Nothing of it is left on the host.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Pod } from '../src/api/generated/types.ts';
import { PODS } from '../src/api/resources.ts';
import { HttpKubeClient } from '../src/client/http-kube-client.ts';
import { loadKubeconfig } from '../src/client/kubeconfig.ts';
import { connectRuntime } from '../src/cri/cri-client.ts';
import { SystemClock } from '../src/lib/clock.ts';
import { instanceLayout } from '../src/lib/instance.ts';
import { silentLogger } from '../src/lib/logger.ts';
import { startStandIns } from '../test/stand-ins/start-stand-ins.ts';
import { BareCri } from './bare-cri.ts';
import { byTurns, type Summary, summarize } from './measure.ts';

const run = promisify(execFile);
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const kubelette = join(root, 'bin/kubelette');
const quick = process.argv.includes('--quick');
const RUNS = quick ? 2 : 10;
const IMAGE = 'busybox:1.36';

interface Row {
  readonly what: string;
  readonly ours: Summary;
  readonly floor?: Summary | undefined;
  readonly unit: string;
  readonly goal: string;
  readonly met: boolean;
}
const rows: Row[] = [];
const add = (row: Row): void => {
  rows.push(row);
  const of = ({ median, min, max }: Summary): string => `${median.toFixed(1)} (${min.toFixed(1)}-${max.toFixed(1)})`;
  const ratio = row.floor ? `  ratio ${(row.ours.median / row.floor.median).toFixed(2)}  bare ${of(row.floor)}` : '';
  console.log(`${row.what}: ${of(row.ours)} ${row.unit}${ratio}  goal ${row.goal}: ${row.met ? 'met' : 'MISSED'}`);
};

const rootDir = mkdtempSync(join(tmpdir(), 'kubelette-bench-'));
const layout = instanceLayout(rootDir);
const standIns = await startStandIns((text) => console.log(text));
const up = ['up', '--detach', '--root-dir', rootDir, '--port', '0', '--registry-mirror', standIns.registryMirror];
const kubectlFree = async (...args: string[]): Promise<number> => {
  const startedAt = performance.now();
  await run(kubelette, args, { cwd: '/' });
  return performance.now() - startedAt;
};

try {
  console.log(
    `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}; ${containerdVersion()}; ${RUNS} runs`,
  );

  const versions: number[] = [];
  for (let i = 0; i < RUNS; i++) versions.push(await kubectlFree('--version'));
  const version = summarize(versions);
  add({ what: 'kubelette --version', ours: version, unit: 'ms', goal: '<= 100 ms', met: version.median <= 100 });

  await kubectlFree(...up);
  const clock = new SystemClock();
  const client = new HttpKubeClient(await loadKubeconfig(layout.kubeconfig));
  const connection = connectRuntime({ endpoint: layout.containerd.socket, clock, logger: silentLogger });
  const bare = new BareCri(connection.runtime, layout);
  await connection.images.pullImage(IMAGE, undefined);

  const agentPid = (): number => (JSON.parse(readFileSync(layout.agentFile, 'utf8')) as { pid: number }).pid;
  let serial = 0;
  const podOf = (spec: Partial<Pod['spec']>): Pod => ({
    metadata: { name: `bench-${serial++}`, namespace: 'default' },
    spec: { containers: [], ...spec },
  });
  /** Milliseconds from sending the pod until its status satisfies `done`. Resolves when nothing is left of the pod. */
  const startPod = async (pod: Pod, done: (pod: Pod) => boolean): Promise<number> => {
    const stop = new AbortController();
    const name = pod.metadata.name!;
    const { metadata } = await client.list(PODS, { namespace: 'default', limit: 1 });
    const fieldSelector = `metadata.name=${name}`;
    const { resourceVersion } = metadata;
    const events = client.watch(PODS, { namespace: 'default', fieldSelector, resourceVersion, signal: stop.signal });
    const startedAt = performance.now();
    await client.create(PODS, pod);
    let took = 0;
    for await (const event of events) {
      if (took === 0 && event.type !== 'ERROR' && done(event.object)) {
        took = performance.now() - startedAt;
        await client.delete(PODS, { namespace: 'default', name });
      }
      if (event.type === 'DELETED') stop.abort();
    }
    return took;
  };
  const running = (pod: Pod): boolean => pod.status?.containerStatuses?.every((c) => c.state?.running) ?? false;
  const ready = (pod: Pod): boolean =>
    pod.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false;
  // Ends at once when told to, so that one measurement does not run into the next.
  const onTerm = (work: string): string[] => ['sh', '-c', `trap 'exit 0' TERM; ${work}`];
  const idle = onTerm('while :; do sleep 600 & wait $!; done');
  const app = { name: 'app', image: IMAGE, command: idle };

  const initContainers = [0, 1, 2, 3, 4].map((i) => ({ name: `init-${i}`, image: IMAGE, command: ['true'] }));
  const chain = await byTurns(
    RUNS,
    () => bare.startPod(podOf({ initContainers, containers: [app] })),
    () => startPod(podOf({ initContainers, containers: [app] }), running),
  );
  add({
    what: '5 init containers and an app, to running',
    ...chain,
    unit: 'ms',
    goal: '<= 0.75 x bare',
    met: chain.ours.median <= 0.75 * chain.floor.median,
  });

  const plain = await byTurns(
    RUNS,
    () => bare.startPod(podOf({ containers: [app] })),
    () => startPod(podOf({ containers: [app] }), running),
  );
  add({
    what: 'plain pod, to running',
    ...plain,
    unit: 'ms',
    goal: '<= bare + 20 ms',
    met: plain.ours.median <= plain.floor.median + 20,
  });

  const server = {
    ...app,
    command: onTerm('httpd -f -p 80 -h /etc & wait $!'),
    readinessProbe: { httpGet: { path: '/passwd', port: 80 }, periodSeconds: 1 },
  };
  const probed = await byTurns(
    RUNS,
    () => bare.startPod(podOf({ containers: [server] })),
    () => startPod(podOf({ containers: [server] }), ready),
  );
  add({
    what: 'pod with httpGet readiness, to Ready',
    ...probed,
    unit: 'ms',
    goal: '<= bare + 40 ms',
    met: probed.ours.median <= probed.floor.median + 40,
  });

  const restart = await byTurns(
    RUNS,
    () => bare.startContainerOf(podOf({ containers: [app] })),
    () => restartTime(),
  );
  add({
    what: 'exit to first restart running',
    ...restart,
    unit: 'ms',
    goal: '<= bare create + start + 20 ms',
    met: restart.ours.median <= restart.floor.median + 20,
  });

  /** Milliseconds from a container's exit event to the start event of its successor. */
  async function restartTime(): Promise<number> {
    const stop = new AbortController();
    const seen = new Map<string, number>();
    const listening = (async () => {
      for await (const event of connection.runtime.events(stop.signal)) {
        if (event.type !== 'resync') seen.set(`${event.type} ${event.containerId}`, performance.now());
      }
    })();
    const command = onTerm('test -f /v/x && while :; do sleep 600 & wait $!; done; touch /v/x; sleep 0.5');
    const pod = podOf({
      containers: [{ ...app, command, volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
      volumes: [{ name: 'v', emptyDir: {} }],
    });
    let ids: (string | undefined)[] = [];
    await startPod(pod, (p) => {
      const status = p.status?.containerStatuses?.[0];
      ids = [status?.lastState?.terminated?.containerID, status?.state?.running && status.containerID];
      return ids.every(Boolean);
    });
    stop.abort();
    await listening;
    const [ended, began] = ids.map((id) => id!.replace('containerd://', ''));
    return seen.get(`containerStarted ${began}`)! - seen.get(`containerExited ${ended}`)!;
  }

  const many = Array.from({ length: 20 }, () => podOf({ containers: [app] }));
  await Promise.all(many.map((pod) => client.create(PODS, pod)));
  const waitAll = async (): Promise<void> => {
    for (;;) {
      const { items } = await client.list(PODS, { namespace: 'default' });
      if (items.length === many.length && items.every(running)) return;
      await clock.sleep(100);
    }
  };
  await waitAll();
  await clock.sleep(quick ? 1000 : 10_000);
  const rss = summarize([rssMB(agentPid())]);
  add({ what: 'resident memory with 20 pods', ours: rss, unit: 'MB', goal: '<= 150 MB', met: rss.median <= 150 });
  connection.close();
  client.close();

  await run(kubelette, ['down', '--root-dir', rootDir, '--purge'], { cwd: '/' });
  const ups: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    ups.push(await kubectlFree(...up));
    await run(kubelette, ['down', '--root-dir', rootDir], { cwd: '/' });
  }
  const upTime = summarize(ups);
  add({
    what: 'kubelette up to a Ready node',
    ours: upTime,
    unit: 'ms',
    goal: '<= 1500 ms',
    met: upTime.median <= 1500,
  });
} finally {
  await run(kubelette, ['down', '--root-dir', rootDir, '--purge'], { cwd: '/' }).catch(() => {});
  rmSync(rootDir, { recursive: true, force: true });
  await standIns.stop();
}
console.log(`${rows.filter((r) => r.met).length} of ${rows.length} goals met`);

/** Resident memory of a process, MB (10^6 bytes). */
function rssMB(pid: number): number {
  const kib = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return (kib * 1024) / 1e6;
}

function containerdVersion(): string {
  const [, , version] = spawnSync('containerd', ['--version'], { encoding: 'utf8' }).stdout.split(' ');
  return `containerd ${version}`;
}
