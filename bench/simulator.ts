/**
 * How fast the simulator is: `node bench/simulator.ts [node|fleet]`.
 * node: one virtual hour of 110 pods, each with a liveness and a readiness probe every second, on one core.
 * fleet: ten virtual minutes of 10,000 pods on 1,000 nodes under one API server. They choose their nodes themselves: our scheduler is
 * one for a single node, and fills the first before it looks at the next.
 */
import type { Pod } from '../src/api/generated/types.ts';
import { simNodeName, simulate } from '../src/simulator/simulate.ts';

const MiB = 2 ** 20;

function pod(i: number, periodSeconds: number, nodeName: string | undefined): Pod {
  const httpGet = { port: 80, path: '/' };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `p${i}` },
    spec: {
      ...(nodeName && { nodeName }),
      containers: [
        {
          name: 'app',
          image: 'registry.test/app:1',
          readinessProbe: { httpGet, periodSeconds },
          livenessProbe: { httpGet, periodSeconds },
        },
      ],
    },
  };
}

async function measure(what: string, pods: number, nodeCount: number, minutes: number, period: number): Promise<void> {
  let probes = 0;
  let ready = 0;
  let peak = 0;
  const started = performance.now();
  const { violations } = await simulate({
    objects: Array.from({ length: pods }, (_, i) =>
      pod(i, period, nodeCount > 1 ? simNodeName(i % nodeCount, nodeCount) : undefined),
    ),
    seed: 1,
    nodeCount,
    keepsFacts: false,
    scenario: { durationMs: minutes * 60_000, images: { 'registry.test/app:1': {} } },
    onFact: (fact) => {
      if (fact.what === 'probed') probes++;
      if (fact.what !== 'written' || fact.collection !== 'pods') return;
      const was = (fact.before as Pod | undefined)?.status?.containerStatuses?.[0]?.ready ?? false;
      if (!was && (fact.object as Pod).status?.containerStatuses?.[0]?.ready) ready++;
      if (ready % 100 === 0) peak = Math.max(peak, process.memoryUsage.rss());
    },
  });
  peak = Math.max(peak, process.resourceUsage().maxRSS * 1024);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const cpu = (process.cpuUsage().user / 1e6).toFixed(1);
  console.log(
    `${what}: ${pods} pods on ${nodeCount} nodes, ${minutes} virtual minutes, ${ready} ready, ${probes} checks: ` +
      `${seconds} s (${cpu} s of CPU), peak memory ${Math.round(peak / MiB)} MiB, ${violations.length} violations`,
  );
}

const which = process.argv[2] ?? 'node';
if (which === 'node') await measure('node', 110, 1, 60, 1);
else await measure('fleet', 10_000, 1000, 10, 10);
