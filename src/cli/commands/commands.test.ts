import { Command } from 'commander';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Pod } from '../../api/generated/types.ts';
import { CONFIGMAPS, PODS } from '../../api/resources.ts';
import { FakeKubeClient } from '../../client/fake-kube-client.ts';
import type { ApiSocket } from '../context.ts';
import { FakeContext } from '../fake-context.ts';
import { addServerOptions } from '../server-options.ts';
import { registerApply } from './apply.ts';
import { registerDelete } from './delete.ts';
import { registerDescribe } from './describe.ts';
import { registerDown } from './down.ts';
import { registerExec } from './exec.ts';
import { registerGet } from './get.ts';
import { registerLogs } from './logs.ts';
import { registerTrace } from './trace.ts';
import { registerUp } from './up.ts';

let context: FakeContext;
let kube: FakeKubeClient;

beforeEach(() => {
  context = new FakeContext();
  kube = new FakeKubeClient(context.clock);
  context.kube = kube;
});

/** Runs a command line as the program would; resolves when the command has ended. */
async function kubelette(line: string): Promise<void> {
  const program = addServerOptions(new Command('kubelette')).exitOverride();
  const all = [registerGet, registerLogs, registerExec, registerDelete, registerApply, registerDescribe, registerTrace];
  for (const register of all) {
    register(program, context);
  }
  for (const command of program.commands)
    command.exitOverride().configureOutput({ writeErr: (text) => context.stderr.write(text) });
  await program.parseAsync(line.split(' '), { from: 'user' });
}

const pod = (name: string, change: (pod: Pod) => void = () => {}): Pod => {
  const made: Pod = {
    metadata: { name, namespace: 'default' },
    spec: { nodeName: 'n', containers: [{ name: 'app', image: 'web' }] },
    status: { phase: 'Running', containerStatuses: [] },
  };
  change(made);
  return made;
};

const TABLE = {
  kind: 'Table',
  metadata: { resourceVersion: '7' },
  columnDefinitions: [
    { name: 'Name', format: 'name', priority: 0 },
    { name: 'Status', priority: 0 },
    { name: 'IP', priority: 1 },
  ],
  rows: [
    {
      cells: ['web', 'Running', '10.0.0.2'],
      object: { metadata: { name: 'web', namespace: 'default', resourceVersion: '7' } },
    },
  ],
};

test.each([registerUp, registerDown])('help is folded by the terminal’s width, not before it: %o', (register) => {
  const program = addServerOptions(new Command('kubelette'));
  register(program, context);
  expect(program.commands[0]!.description()).not.toContain('\n');
});

test('get prints the server’s table', async () => {
  context.answer = () => TABLE;
  await kubelette('get pods');
  expect(context.out()).toBe('NAME   STATUS\nweb    Running\n');
  expect(context.requests[0]?.path).toBe('/api/v1/namespaces/default/pods');
  expect(context.requests[0]?.headers?.Accept).toContain('as=Table');
});

test('get: wide columns, all namespaces, selectors, no headers', async () => {
  context.answer = () => TABLE;
  await kubelette('get po -A -o wide -l app=web --no-headers');
  expect(context.out()).toBe('default   web   Running   10.0.0.2\n');
  expect(context.requests[0]?.path).toBe('/api/v1/pods?labelSelector=app%3Dweb');
});

test('get by name, TYPE/NAME, and the namespace before or after the command', async () => {
  context.answer = () => TABLE;
  await kubelette('-n a get pod web');
  await kubelette('get pod/web -n b');
  expect(context.requests.map((r) => r.path)).toEqual([
    '/api/v1/namespaces/a/pods/web',
    '/api/v1/namespaces/b/pods/web',
  ]);
});

test('get by name across all namespaces, as kubectl says it; what is in none has a name', async () => {
  context.answer = () => TABLE;
  for (const line of ['get pod web -A', 'get pod/web -A -o yaml', 'get pod web -A -w']) {
    await expect(kubelette(line)).rejects.toThrow('a resource cannot be retrieved by name across all namespaces');
  }
  await kubelette('get node n -A');
  expect(context.requests.map((r) => r.path)).toEqual(['/api/v1/nodes/n']);
});

test('get of several types says what each name names', async () => {
  context.answer = () => TABLE;
  await kubelette('get pods,cm');
  expect(context.out()).toBe(
    'NAME      STATUS\npod/web   Running\n\nNAME            STATUS\nconfigmap/web   Running\n',
  );
});

test('get nothing says so, on standard error', async () => {
  context.answer = () => ({ ...TABLE, rows: [] });
  await kubelette('get pods -n dev');
  expect([context.out(), context.err()]).toEqual(['', 'No resources found in dev namespace.\n']);
});

test('get -w prints the changes under the same header and ends with Ctrl-C', async () => {
  const changed = {
    ...TABLE,
    columnDefinitions: null,
    rows: [{ ...TABLE.rows[0], cells: ['web', 'Terminating', '10.0.0.2'] }],
  };
  let watches = 0;
  context.answer = (path) => {
    if (!path.includes('watch=true')) return TABLE;
    if (++watches === 2) context.signal('SIGINT');
    return `${JSON.stringify({ type: 'MODIFIED', object: changed })}\n`;
  };
  const done = kubelette('get pods -w');
  await vi.waitFor(() => expect(watches).toBe(1));
  await context.clock.advance(1000);
  await done;
  expect(context.out().split('\n').slice(0, 3)).toEqual(['NAME   STATUS', 'web    Running', 'web    Terminating']);
  expect(context.requests[1]?.path).toContain('resourceVersion=7');
});

test('get -o yaml, json and name, without managedFields', async () => {
  await kube.create(
    PODS,
    pod('web', (p) => {
      p.metadata.managedFields = [{ manager: 'x' }];
    }),
  );
  await kubelette('get pods -o name');
  await kubelette('get pod web -o yaml');
  const out = context.out();
  expect(out).toMatch(/^pod\/web\napiVersion: v1\nkind: Pod\nmetadata:\n/);
  expect(out).not.toContain('managedFields');
  await kubelette('get pods -o json');
  expect(JSON.parse(context.out().slice(out.length))).toMatchObject({
    kind: 'List',
    items: [{ kind: 'Pod', metadata: { name: 'web' } }],
  });
});

test('get of an unknown type names those that are known', async () => {
  await expect(kubelette('get podz')).rejects.toMatchObject({
    message: 'unknown resource type "podz"',
    hint: expect.stringContaining('pods, nodes') as string,
  });
});

test('logs: the first container by default, which is said, and every option', async () => {
  await kube.create(
    PODS,
    pod('web', (p) => p.spec!.containers.push({ name: 'side', image: 's' })),
  );
  context.answer = () => 'hello\n';
  await kubelette('logs web -f -p --tail 5 --since 1h30m --timestamps');
  expect(context.out()).toBe('hello\n');
  expect(context.err()).toBe('Defaulted container "app" out of: app, side\n');
  expect(context.requests[0]?.path).toBe(
    '/api/v1/namespaces/default/pods/web/log?container=app&follow=true&previous=true&timestamps=true&tailLines=5&sinceSeconds=5400',
  );
});

test.each([
  ['logs web --tail x', '--tail'],
  ['logs web --since 5', '--since'],
  ['logs', 'pod'],
  ['delete pod web --grace-period -1', '--grace-period'],
  ['delete pod web --wait=maybe', '--wait'],
  ['get pods -o wid', '--output'],
])('%s is refused by name', async (line, name) => {
  await expect(kubelette(line)).rejects.toThrow(name);
});

test('logs of a container that is not there', async () => {
  await kube.create(PODS, pod('web'));
  await expect(kubelette('logs web -c nope')).rejects.toMatchObject({
    message: 'container nope is not in pod web',
    hint: 'it has app',
  });
});

/** A connection whose other side is scripted. */
function socket(messages: (string | Uint8Array)[][], sent: Buffer[] = []): ApiSocket {
  return {
    protocol: 'v5.channel.k8s.io',
    send: (data) => sent.push(Buffer.from(data)),
    close: () => {},
    messages: (async function* () {
      for (const [channel, data] of messages as unknown as [number, string][])
        yield Buffer.concat([Uint8Array.of(channel), Buffer.from(data)]);
    })(),
  };
}
const SUCCESS = [3, JSON.stringify({ status: 'Success' })] as unknown as string[];
const exit = (code: number): string[] =>
  [
    3,
    JSON.stringify({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
    }),
  ] as unknown as string[];

test.each([
  ['exec web -- ls -la /', ['ls', '-la', '/']],
  ['exec web ls -la /', ['ls', '-la', '/']],
  ['exec -c app web -- ls -c x', ['ls', '-c', 'x']],
  ['exec web -c app ls', ['ls']],
  ['exec web -c app -- sh -c exit', ['sh', '-c', 'exit']],
])('%s runs exactly that command', async (line, command) => {
  await kube.create(PODS, pod('web'));
  let path = '';
  context.socket = (p) => {
    path = p;
    return socket([[1, 'out'] as unknown as string[], [2, 'err'] as unknown as string[], SUCCESS]);
  };
  await kubelette(line);
  const query = new URL(path, 'http://x').searchParams;
  expect(query.getAll('command')).toEqual(command);
  expect([query.get('container'), query.get('stdin'), query.get('tty'), query.get('stderr')]).toEqual([
    'app',
    'false',
    'false',
    'true',
  ]);
  expect([context.out(), context.err(), context.exitCode]).toEqual(['out', 'err', 0]);
});

test('exec ends with the command’s exit code', async () => {
  await kube.create(PODS, pod('web'));
  context.socket = () => socket([exit(3)]);
  await kubelette('exec web -- false');
  expect([context.exitCode, context.err()]).toEqual([3, 'command terminated with exit code 3\n']);
});

test('exec -i passes standard input on and closes it', async () => {
  await kube.create(PODS, pod('web'));
  const sent: Buffer[] = [];
  let finish = (): void => {};
  const closed = new Promise<void>((resolve) => {
    finish = resolve;
  });
  context.socket = () => ({
    ...socket([], sent),
    send: (data) => {
      sent.push(Buffer.from(data));
      if (data[0] === 255) finish();
    },
    messages: (async function* () {
      await closed;
      yield Buffer.concat([Uint8Array.of(3), Buffer.from('{"status":"Success"}')]);
    })(),
  });
  context.stdin.end('data');
  await kubelette('exec web -i -- cat');
  expect(sent.map((b) => [b[0], b.subarray(1).toString('latin1')])).toEqual([
    [0, 'data'],
    [255, '\u0000'],
  ]);
});

test('exec -it: raw terminal, its size, and its changes', async () => {
  await kube.create(PODS, pod('web'));
  const raw: boolean[] = [];
  Object.assign(context.stdin, { isTTY: true, setRawMode: (on: boolean) => raw.push(on) });
  Object.assign(context.stdout, { columns: 100, rows: 40 });
  const sent: Buffer[] = [];
  context.socket = (path) => {
    expect(path).toContain('tty=true');
    return {
      ...socket([], sent),
      messages: (async function* () {
        Object.assign(context.stdout, { columns: 120 });
        context.signal('SIGWINCH');
        yield Buffer.concat([Uint8Array.of(3), Buffer.from('{"status":"Success"}')]);
      })(),
    };
  };
  await kubelette('exec -it web -- bash');
  expect(raw).toEqual([true, false]);
  expect(sent.map((b) => [b[0], b.subarray(1).toString()])).toEqual([
    [4, '{"Width":100,"Height":40}'],
    [4, '{"Width":120,"Height":40}'],
  ]);
});

test('exec: a connection that breaks is not a success', async () => {
  await kube.create(PODS, pod('web'));
  context.socket = () => socket([]);
  await expect(kubelette('exec web ls')).rejects.toThrow('the connection ended before the command did');
});

test.each([
  ['exec web --foo ls', "unknown option '--foo'"],
  ['exec web', 'command'],
])('%s is refused', async (line, words) => {
  await kube.create(PODS, pod('web'));
  await expect(kubelette(line)).rejects.toThrow(words);
});

test('delete waits until the pod is gone', async () => {
  await kube.create(PODS, pod('web'));
  let ended = false;
  const done = kubelette('delete pod web').then(() => {
    ended = true;
  });
  await vi.waitFor(() => expect(context.out()).toBe('pod "web" deleted\n'));
  expect(ended).toBe(false);
  await kube.delete(PODS, { name: 'web', namespace: 'default' }, { gracePeriodSeconds: 0 });
  await done;
});

test.each([
  ['--now', 1],
  ['--grace-period 7', 7],
  ['--grace-period 0', 1],
  ['--now --wait=F', 1],
])('delete %s', async (option, seconds) => {
  await kube.create(PODS, pod('web'));
  await kubelette(`delete pod/web ${option}${option.includes('--wait') ? '' : ' --no-wait'}`);
  expect(kube.writes.at(-1)?.object.metadata.deletionGracePeriodSeconds).toBe(seconds);
});

test('delete --force, --wait=false, and what is not there', async () => {
  await kube.create(PODS, pod('web'));
  await kubelette('delete pod web nope --force --wait=false');
  expect(context.out()).toBe('pod "web" force deleted\n');
  expect(context.err()).toBe('Error from server (NotFound): pods "nope" not found\n');
  expect(context.exitCode).toBe(1);
  expect(kube.all(PODS)).toEqual([]);
  context.exitCode = 0;
  await kubelette('delete pod nope --ignore-not-found');
  expect(context.exitCode).toBe(0);
});

test('delete: options that contradict each other', async () => {
  await expect(kubelette('delete pod web --now --grace-period 3')).rejects.toThrow('--now and --grace-period');
  await expect(kubelette('delete pod web --force --grace-period 3')).rejects.toThrow('--force');
  await expect(kubelette('delete')).rejects.toThrow('nothing to delete');
  await expect(kubelette('delete pod')).rejects.toThrow('which of the pods?');
});

test('apply creates, then changes', async () => {
  const manifest = (value: string): string =>
    `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: ${value}}}`;
  const apply = async (text: string): Promise<void> => {
    const { PassThrough } = await import('node:stream');
    Object.assign(context, { stdin: new PassThrough() });
    context.stdin.end(text);
    await kubelette('apply -f - -n dev');
  };
  await apply(manifest('x'));
  await apply(manifest('z'));
  expect(context.out()).toBe('configmap/c created\nconfigmap/c configured\n');
  expect(kube.all(CONFIGMAPS)).toMatchObject([{ metadata: { namespace: 'dev' }, data: { a: 'z' } }]);
});

test('describe begins with the reason', async () => {
  await kube.create(
    PODS,
    pod('web', (p) => {
      delete p.spec!.nodeName;
    }),
  );
  await kubelette('describe pod web');
  expect(context.out().split('\n')[0]).toBe('Not ready: no node has taken the pod.');
  expect(context.out()).toContain('\nName:             web\n');
  await expect(kubelette('describe node n')).rejects.toThrow('describe knows pods only');
});

test('trace draws what the kubelet tells, or prints it for programs', async () => {
  await kube.create(PODS, pod('web'));
  const section = { number: 0, cause: 'start', startedAt: 0, droppedSpans: 0, spans: [] };
  const spans = [{ id: 1, name: 'pod start', startMs: 0, durationMs: 7 }];
  const trace = { namespace: 'default', name: 'web', uid: 'u', sections: [{ ...section, spans }] };
  context.answer = () => trace;
  await kubelette('trace web');
  expect(context.requests[0]?.path).toBe('/api/v1/nodes/n/proxy/traces/default/web');
  expect(context.out()).toMatch(/^pod default\/web: start at 1970.*\n\nms .*\npod start +0\.0 +7\.0 +█+\n$/);
  const drawn = context.out().length;
  await kubelette('trace pod/web -o json');
  expect(JSON.parse(context.out().slice(drawn))).toEqual(trace);
  const json = context.out().length;
  await kubelette('trace web -o otlp');
  expect(JSON.parse(context.out().slice(json))).toHaveProperty('resourceSpans');
});

test('trace says why there is none', async () => {
  await kube.create(PODS, pod('web'));
  await kube.create(
    PODS,
    pod('homeless', (p) => {
      delete p.spec!.nodeName;
    }),
  );
  await expect(kubelette('trace nobody')).rejects.toThrow('pods "nobody" not found');
  await expect(kubelette('trace homeless')).rejects.toThrow('pod default/homeless has no node yet');
  await expect(kubelette('trace web')).rejects.toThrow('the kubelet of node n does not tell the trace');
  context.answer = () => ({ sections: [] });
  await expect(kubelette('trace web')).rejects.toThrow('no trace of pod default/web is kept');
  await expect(kubelette('trace web -o yaml')).rejects.toThrow();
  expect(context.err()).toContain("argument 'yaml' is invalid. Allowed choices are json, otlp.");
});
