import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ConfigMap } from '../api/generated/types.ts';
import { CONFIGMAPS } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { silentLogger } from '../lib/logger.ts';
import { Informer } from './informer.ts';
import type { KubeClient, KubeList, WatchEvent, WatchOptions } from './kube-client.ts';

/** A server in a few lines: each list and each watch is answered by the next line of the script. */
class ScriptedClient {
  readonly calls: string[] = [];
  private readonly script: (KubeList<ConfigMap> | readonly (WatchEvent<ConfigMap> | Error)[] | Error)[];

  constructor(...script: ScriptedClient['script']) {
    this.script = script;
  }

  async list(): Promise<KubeList<ConfigMap>> {
    this.calls.push('list');
    const next = this.script.shift();
    if (next instanceof Error) throw next;
    return next as KubeList<ConfigMap>;
  }

  async *watch(_: unknown, { resourceVersion, signal }: WatchOptions): AsyncGenerator<WatchEvent<ConfigMap>> {
    this.calls.push(`watch ${resourceVersion}`);
    const next = this.script.shift();
    if (!next) {
      // Quiet until the end.
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      return;
    }
    if (next instanceof Error) throw next;
    for (const event of next as (WatchEvent<ConfigMap> | Error)[]) {
      if (event instanceof Error) throw event;
      yield event;
    }
  }
}

const object = (name: string, version: number, uid = name): ConfigMap => ({
  metadata: { name, namespace: 'ns', uid, resourceVersion: String(version) },
});
const list = (version: number, ...items: ConfigMap[]): KubeList<ConfigMap> => ({
  metadata: { resourceVersion: String(version) },
  items,
});
const event = (type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', o: ConfigMap): WatchEvent<ConfigMap> => ({
  type,
  object: o,
});

let clock: FakeClock;
let abort: AbortController;
beforeEach(() => {
  clock = new FakeClock();
  abort = new AbortController();
});
afterEach(() => abort.abort());

/** Runs an informer on a script until it is quiet, and returns what its handlers were told. */
async function run(client: ScriptedClient) {
  const informer = new Informer({
    client: client as unknown as KubeClient,
    resource: CONFIGMAPS,
    clock,
    logger: silentLogger,
  });
  const told: string[] = [];
  const name = ({ metadata }: ConfigMap) => `${metadata.name}@${metadata.resourceVersion}`;
  informer.addHandlers({
    add: (o) => told.push(`+${name(o)}`),
    update: (o, old) => told.push(`~${name(old)}>${name(o)}`),
    delete: (o) => told.push(`-${name(o)}`),
  });
  const running = informer.run(abort.signal);
  await clock.advance(0);
  return { informer, told, running };
}

test('a list, then a watch from there', async () => {
  const client = new ScriptedClient(list(5, object('a', 3)), [
    event('ADDED', object('b', 6)),
    event('MODIFIED', object('a', 7)),
    event('BOOKMARK', object('', 9)),
    event('DELETED', object('b', 10)),
  ]);
  const { informer, told } = await run(client);
  await informer.synced;
  expect(told).toEqual(['+a@3', '+b@6', '~a@3>a@7', '-b@10']);
  expect(informer.list()).toEqual([object('a', 7)]);
  expect(informer.get('a', 'ns')).toEqual(object('a', 7));
  expect(client.calls).toEqual(['list', 'watch 5', 'watch 10']);
});

test('a watch that the server ends is taken up where it was', async () => {
  const client = new ScriptedClient(list(5), [event('BOOKMARK', object('', 8))], []);
  await run(client);
  expect(client.calls).toEqual(['list', 'watch 5', 'watch 8']);
  // That one ended without a word.
  await clock.advance(250);
  expect(client.calls.slice(3)).toEqual(['watch 8']);
});

test('after 410 it lists again and tells the difference', async () => {
  const gone: WatchEvent<ConfigMap> = { type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old' } };
  const client = new ScriptedClient(
    list(5, object('a', 1), object('b', 2), object('c', 3, 'c1')),
    [gone],
    list(50, object('a', 1), object('b', 40), object('c', 41, 'c2')),
  );
  const { told } = await run(client);
  expect(told.slice(3)).toEqual(['~b@2>b@40', '-c@3', '+c@41']);
  expect(client.calls).toEqual(['list', 'watch 5', 'list', 'watch 50']);
});

test('what vanished while nobody looked is told as deleted', async () => {
  const client = new ScriptedClient(list(5, object('a', 1)), [{ type: 'ERROR', object: { code: 410 } }], list(9));
  const { told, informer } = await run(client);
  expect(told).toEqual(['+a@1', '-a@1']);
  expect(informer.list()).toEqual([]);
});

test('a failing server is asked again, more and more slowly, and everything goes on when it is back', async () => {
  const down = new Error('connect ECONNREFUSED');
  const client = new ScriptedClient(down, down, down, list(5), down, []);
  const { informer } = await run(client);
  expect(client.calls).toHaveLength(1);
  await clock.advance(249);
  expect(client.calls).toHaveLength(1);
  await clock.advance(1);
  expect(client.calls).toHaveLength(2);
  await clock.advance(499);
  expect(client.calls).toHaveLength(2);
  await clock.advance(1);
  await clock.advance(1000);
  await informer.synced;
  expect(client.calls.slice(3)).toEqual(['list', 'watch 5']);
  await clock.advance(250);
  expect(client.calls.slice(5)).toEqual(['watch 5']);
});

test('an expired version in the answer itself means a new list', async () => {
  const client = new ScriptedClient(list(5), new ApiStatusError(410, 'Expired', 'too old'), list(9));
  await run(client);
  await clock.advance(250);
  expect(client.calls).toEqual(['list', 'watch 5', 'list', 'watch 9']);
});

test('a handler that throws does not stop the others', async () => {
  const client = new ScriptedClient(list(5, object('a', 1), object('b', 2)));
  const informer = new Informer({
    client: client as unknown as KubeClient,
    resource: CONFIGMAPS,
    clock,
    logger: silentLogger,
  });
  const told: string[] = [];
  informer.addHandlers({
    add: () => {
      throw new Error('bug');
    },
  });
  informer.addHandlers({ add: (o) => told.push(o.metadata.name!) });
  void informer.run(abort.signal);
  await informer.synced;
  expect(told).toEqual(['a', 'b']);
});

test('a late handler hears of what is known; a handler that left hears nothing', async () => {
  const client = new ScriptedClient(list(5, object('a', 1)));
  const { informer, told } = await run(client);
  const late: string[] = [];
  const leave = informer.addHandlers({ add: (o) => late.push(o.metadata.name!) });
  leave();
  expect(late).toEqual(['a']);
  expect(told).toEqual(['+a@1']);
});

test('it ends with the signal, also while it waits', async () => {
  const { running } = await run(new ScriptedClient(new Error('down')));
  abort.abort();
  await running;
  expect(clock.pendingTimers).toBe(0);
});
