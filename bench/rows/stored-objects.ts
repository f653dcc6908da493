import type { ConfigMap } from '../../src/api/generated/types.ts';
import { CONFIGMAPS } from '../../src/api/resources.ts';
import type { Kubelette } from '../contenders/kubelette.ts';
import { quantile } from '../measure.ts';
import type { Plan } from '../plan.ts';
import { Row } from '../row.ts';

const AT_ONCE = 20;

/** What one write takes, until a watcher has heard of it, with few and with many objects stored. The node must have been started. */
export async function* storedObjects(ours: Kubelette, plan: Plan): AsyncGenerator<Row> {
  const client = ours.client();
  const object = (i: number, value: string): ConfigMap => ({
    metadata: { name: `stored-${i}`, namespace: 'default' },
    data: { value },
  });
  const stop = new AbortController();
  const { metadata } = await client.list(CONFIGMAPS, { namespace: 'default' });
  const { resourceVersion } = metadata;
  const heard = new Map<string, (at: number) => void>();
  const listening = (async () => {
    for await (const event of client.watch(CONFIGMAPS, {
      namespace: 'default',
      resourceVersion,
      signal: stop.signal,
    })) {
      if (event.type === 'MODIFIED') heard.get(event.object.data?.value ?? '')?.(performance.now());
    }
  })();
  let stored = 0;
  let first: number | undefined;
  for (const count of plan.objects) {
    for (; stored < count; stored += Math.min(AT_ONCE, count - stored)) {
      const next = Array.from({ length: Math.min(AT_ONCE, count - stored) }, (_, i) => object(stored + i, ''));
      await Promise.all(next.map((o) => client.create(CONFIGMAPS, o)));
    }
    const samples: number[] = [];
    for (let i = 0; i < plan.writes; i++) {
      const value = `${count} ${i}`;
      const { promise, resolve } = Promise.withResolvers<number>();
      heard.set(value, resolve);
      const startedAt = performance.now();
      await client.update(CONFIGMAPS, object(i % count, value));
      samples.push((await promise) - startedAt);
      heard.delete(value);
    }
    const row = Row.ofOurs(
      `a write, to its watcher, ${count} object${count === 1 ? '' : 's'} stored`,
      'ms',
      ...samples,
    );
    const median = quantile(samples, 0.5);
    yield first === undefined
      ? row
      : row.goal(`as with ${plan.objects[0]} (+ 20 %, + 0.2 ms)`, median <= first * 1.2 + 0.2);
    first ??= median;
  }
  stop.abort();
  await listening;
}
