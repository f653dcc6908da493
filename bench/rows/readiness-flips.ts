import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { PODS, SERVICES } from '../../src/api/resources.ts';
import type { Kubelette } from '../contenders/kubelette.ts';
import { quantile, within } from '../measure.ts';
import type { Plan } from '../plan.ts';
import { IDLE, IMAGE } from '../pods.ts';
import { Row } from '../row.ts';

/** Pods that flip, each with a Service of its own. */
const FLIPPING = 10;
const AT_ONCE = 20;

/**
 * From the answer to a readiness probe until the kernel's rules for the Service follow. Services beyond those that flip lead to a pod
 * that stays. The node must not have been started, and have addresses enough; it is stopped afterwards.
 */
export async function* readinessFlips(ours: Kubelette, plan: Plan): AsyncGenerator<Row> {
  const flips = new Flips(ours);
  const p99s: number[] = [];
  try {
    await ours.start();
    await flips.start(Math.min(FLIPPING, plan.services[0]!));
    for (const services of plan.services) {
      await flips.serveAlso(services);
      await delay(plan.settleSeconds * 1000);
      const samples = await within(120_000, `${plan.flips} flips with ${services} Services`, flips.take(plan.flips));
      const p99 = quantile(samples, 0.99);
      p99s.push(p99);
      yield Row.ofOurs(`readiness flip to kernel rule, ${services} Services, p50`, 'ms', quantile(samples, 0.5));
      const row = Row.ofOurs(`readiness flip to kernel rule, ${services} Services, p99`, 'ms', p99).atMost(15);
      if (p99s.length > 1) row.goal(`<= with ${plan.services[0]} + 5 ms`, p99 <= p99s[0]! + 5);
      yield row;
    }
  } finally {
    flips.stop();
    await ours.stop();
  }
}

class Flips {
  private readonly ours: Kubelette;
  /** When the last probe of a pod was answered, by its Service's address. */
  private readonly answered = new Map<string, number>();
  /** Addresses of pods' Services, by path of their probe. */
  private readonly addresses = new Map<string, string>();
  private readonly ready = new Map<string, boolean>();
  private samples: number[] = [];
  private enough: (() => void) | undefined;
  private wanted = 0;
  private serving = 0;

  // The probes ask us, so that we know when they hear; while we measure, each answer is the other one.
  private readonly prober = createServer((request, response) => {
    const path = request.url!;
    const isReady = !(this.enough && this.ready.get(path));
    this.ready.set(path, isReady);
    const address = this.addresses.get(path);
    if (this.enough && address) this.answered.set(address, performance.now());
    response.writeHead(isReady ? 200 : 503, { connection: 'close' }).end();
  });

  private readonly news = spawn('nft', ['monitor', 'elements'], { stdio: ['ignore', 'pipe', 'inherit'] });

  constructor(ours: Kubelette) {
    this.ours = ours;
    createInterface(this.news.stdout).on('line', (line) => this.hear(line));
  }

  async start(pods: number): Promise<void> {
    this.prober.listen(0, '127.0.0.1');
    await once(this.prober, 'listening');
    const { port } = this.prober.address() as AddressInfo;
    const client = this.ours.client();
    for (let i = 0; i <= pods; i++) {
      // The last one stays Ready.
      const name = i === pods ? 'steady' : `flip-${i}`;
      const path = `/${name}`;
      if (i < pods) this.addresses.set(path, await this.serve(name, name));
      const httpGet = { host: '127.0.0.1', path, port };
      await client.create(PODS, {
        metadata: { name, namespace: 'default', labels: { name } },
        spec: {
          containers: [
            {
              ...{ name: 'app', image: IMAGE, command: IDLE },
              ...(i < pods && { readinessProbe: { httpGet, periodSeconds: 1, failureThreshold: 1 } }),
            },
          ],
        },
      });
    }
  }

  stop(): void {
    this.news.kill();
    this.prober.close();
  }

  /** Makes Services for the pod that stays, until there are so many. */
  async serveAlso(count: number): Promise<void> {
    while (this.serving < count) {
      const next = Array.from(
        { length: Math.min(AT_ONCE, count - this.serving) },
        (_, i) => `steady-${this.serving + i}`,
      );
      await Promise.all(next.map((name) => this.serve(name, 'steady')));
    }
  }

  /** The next so many flips, ms each. */
  async take(count: number): Promise<number[]> {
    this.samples = [];
    this.wanted = count;
    await new Promise<void>((resolve) => {
      this.enough = resolve;
    });
    this.enough = undefined;
    return this.samples.slice(0, count);
  }

  private async serve(name: string, pod: string): Promise<string> {
    this.serving++;
    const { spec } = await this.ours.client().create(SERVICES, {
      metadata: { name, namespace: 'default' },
      spec: { selector: { name: pod }, ports: [{ port: 80 }] },
    });
    return spec.clusterIP!;
  }

  private hear(line: string): void {
    const now = performance.now();
    const [, table, address = ''] =
      /element ip (\S+) svc-(?:addresses|refused-addresses) \{ ([\d.]+) /.exec(line) ?? [];
    const since = this.answered.get(address);
    if (table !== this.ours.layout.nftTable || since === undefined) return;
    this.answered.delete(address);
    this.samples.push(now - since);
    if (this.samples.length >= this.wanted) this.enough?.();
  }
}
