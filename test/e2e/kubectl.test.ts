import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { eventually } from './harness/eventually.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import type { ProcessOptions, ProcessResult } from './harness/run-process.ts';
import { hasKubectl, useNode } from './harness/test-node.ts';

const node = useNode();
const { kubectls } = inject('e2e');
const files = mkdtempSync(join(tmpdir(), 'kubelette-e2e-kubectl-'));
afterAll(() => rmSync(files, { recursive: true, force: true }));

/** One pod that all versions look at. */
const subject = podManifest(
  'subject',
  {
    terminationGracePeriodSeconds: 1,
    containers: [
      sh('web', `echo one; echo two; echo three; mkdir /w; echo hi > /w/index.html; httpd -p 8080 -h /w; ${WAIT}`),
      sh('side', `echo beside >&2; ${WAIT}`),
    ],
  },
  { labels: { app: 'subject', tier: 'web' } },
);

beforeAll(async () => {
  if (!hasKubectl()) return;
  await node.current.apply(subject);
  await node.current.podReady('subject');
});

describe.each(kubectls)('kubectl $version', ({ path, version }) => {
  const result = (args: string[], options?: ProcessOptions): Promise<ProcessResult> =>
    node.current.kubectlResult(args, options, path);
  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await result(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`);
    return stdout;
  };
  const [, minor] = version.split('.').map(Number);
  const own = (name: string): string => `${name}-${version.replace('.', '-')}`;

  test.concurrent('get, in every form', async () => {
    expect(await kubectl('get', 'pods')).toMatch(
      /^NAME +READY +STATUS +RESTARTS +AGE\n(.*\n)*subject +2\/2 +Running +0 +\d+/,
    );
    const wide = await kubectl('get', 'pod/subject', '-o', 'wide');
    expect(wide).toMatch(/^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n/);
    expect(await kubectl('get', 'po', 'subject', '-o', 'name')).toBe('pod/subject\n');
    const json = JSON.parse(await kubectl('get', 'pod', 'subject', '-o', 'json')) as { kind: string; spec: object };
    expect(json).toMatchObject({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'subject', namespace: 'default' } });
    expect(await kubectl('get', 'pod', 'subject', '-o', 'yaml')).toMatch(/^apiVersion: v1\nkind: Pod\n/);
    const jsonpath = 'jsonpath={.status.phase} {.spec.containers[*].name}';
    expect(await kubectl('get', 'pod', 'subject', '-o', jsonpath)).toBe('Running web side');
    expect(await kubectl('get', 'pods', '-l', 'app=subject,tier in (web)', '-o', 'name')).toBe('pod/subject\n');
    expect(await kubectl('get', 'pods', '-l', 'app!=subject,app', '-o', 'name')).toBe('');
    const byField = await kubectl('get', 'pods', '--field-selector', 'metadata.name=subject', '-o', 'name');
    expect(byField).toBe('pod/subject\n');
    expect(await kubectl('get', 'pods', '-A')).toMatch(/^NAMESPACE +NAME +READY/);
    expect(await kubectl('get', 'pods', '--show-labels')).toContain('app=subject,tier=web');
    expect(await kubectl('get', 'nodes')).toMatch(/^NAME +STATUS +ROLES +AGE +VERSION\n\S+ +Ready /);
    expect(await kubectl('get', 'namespaces', '-o', 'name')).toContain('namespace/default\n');
    for (const kind of ['configmaps', 'secrets', 'serviceaccounts', 'events', 'leases'])
      await kubectl('get', kind, '-A');
  });

  test.concurrent('describe, events, explain what happened', async () => {
    const text = await kubectl('describe', 'pod', 'subject');
    for (const part of [
      /^Name: +subject$/m,
      /^Status: +Running$/m,
      /^ +Ready +True *$/m,
      /Started +.*Container started/,
    ]) {
      expect(text).toMatch(part);
    }
    expect(await kubectl('events', '--for', 'pod/subject')).toMatch(/Normal +Started +Pod\/subject +Container started/);
    expect(await kubectl('describe', 'node')).toMatch(/^Name:/);
  });

  test.concurrent('apply, create, change and delete', async () => {
    const name = own('applied');
    const file = join(files, `${name}.json`);
    writeFileSync(file, podManifest(name, { containers: [sh('app', WAIT)] }));
    expect(await kubectl('apply', '-f', file)).toBe(`pod/${name} created\n`);
    expect(await kubectl('apply', '-f', file)).toBe(`pod/${name} unchanged\n`);
    expect((await result(['create', '-f', file])).stderr).toContain(
      `Error from server (AlreadyExists): error when creating "${file}": pods "${name}" already exists`,
    );
    const labelled = podManifest(name, { containers: [sh('app', WAIT)] }, { labels: { a: 'b' } });
    writeFileSync(file, labelled);
    expect(await kubectl('apply', '-f', file)).toBe(`pod/${name} configured\n`);
    expect(await kubectl('label', 'pod', name, 'c=d')).toBe(`pod/${name} labeled\n`);
    expect(await kubectl('annotate', 'pod', name, 'e=f')).toMatch(/^pod\/\S+ annotated?\n$/);
    expect(await kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=30s')).toBe(
      `pod/${name} condition met\n`,
    );
    expect(await kubectl('delete', '-f', file)).toContain(`pod "${name}" deleted`);
    expect(await kubectl('create', 'configmap', name, '--from-literal=k=v')).toBe(`configmap/${name} created\n`);
    expect(await kubectl('get', 'configmap', name, '-o', 'jsonpath={.data.k}')).toBe('v');
    await kubectl('delete', 'configmap', name);
  });

  test.concurrent('logs', async () => {
    expect(await kubectl('logs', 'subject', '-c', 'web')).toBe('one\ntwo\nthree\n');
    expect(await kubectl('logs', 'subject', '-c', 'web', '--tail=1')).toBe('three\n');
    expect(await kubectl('logs', 'subject', '-c', 'web', '--timestamps', '--tail=1')).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z three\n$/,
    );
    expect(await kubectl('logs', 'subject', '-c', 'web', '--since=1h')).toBe('one\ntwo\nthree\n');
    expect(await kubectl('logs', 'subject', '--all-containers', '--prefix')).toContain('[pod/subject/side] beside\n');
    const previous = await result(['logs', 'subject', '-c', 'web', '--previous']);
    expect(previous.stderr).toContain('previous terminated container "web" in pod "subject" not found');
    const follow = spawn(path, ['logs', '-f', 'subject', '-c', 'side'], {
      env: { ...process.env, ...node.current.kubectlEnv },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = createInterface(follow.stdout)[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe('beside');
      await kubectl('exec', 'subject', '-c', 'side', '--', 'sh', '-c', `echo ${version} > /proc/1/fd/1`);
      let line: unknown;
      do
        line = (await lines.next()).value; // those of other versions may come before
      while (line !== undefined && line !== version);
      expect(line).toBe(version);
    } finally {
      follow.kill();
      await once(follow, 'exit');
    }
  });

  test.concurrent('exec: output apart, exit code, input, a terminal', async () => {
    const both = await result(['exec', 'subject', '-c', 'web', '--', 'sh', '-c', 'echo out; echo err >&2; exit 42']);
    expect(both).toMatchObject({ code: 42, stdout: 'out\n' });
    expect(both.stderr).toContain('err\n');
    const big = 'x'.repeat(300_000);
    const echoed = await result(['exec', '-i', 'subject', '-c', 'web', '--', 'cat'], { input: big });
    expect(echoed.stdout.length).toBe(big.length);
    expect(await kubectl('exec', 'subject', '--', 'hostname')).toBe('subject\n');
    // `script` gives kubectl a terminal; its size reaches the container.
    const words = `stty cols 101 rows 33; ${path} exec -it subject -c web -- sh -c 'sleep 0.5; tty; stty size; exit 3'`;
    const session = await node.current.inTerminal(words);
    expect(session.stdout).toMatch(/\/dev\/pts\/\d+\s+33 101\s/);
    expect(session.code).toBe(3);
  });

  test.concurrent('attach and run', async () => {
    const name = own('run');
    const ran = await result(
      [
        ...['run', name, '--image=busybox:1.36', '--restart=Never', '--rm', '-i'],
        '--',
        'sh',
        '-c',
        'read x; echo got $x',
      ],
      {
        input: 'it\n',
      },
    );
    expect(ran.stdout).toContain('got it\n');
    await expect(kubectl('get', 'pod', name)).rejects.toThrow('not found');
    const attached = own('attach');
    const manifest = podManifest(attached, {
      containers: [sh('app', 'while read line; do echo "said $line"; done', { stdin: true })],
    });
    await node.current.apply(manifest);
    await node.current.podReady(attached);
    const talk = spawn(path, ['attach', '-i', attached], { env: { ...process.env, ...node.current.kubectlEnv } });
    const said = once(createInterface(talk.stdout), 'line');
    talk.stdin.write('hello\n');
    expect(await said).toEqual(['said hello']);
    talk.kill('SIGKILL');
    await once(talk, 'exit');
    await kubectl('delete', 'pod', attached, '--now');
  });

  test.concurrent('cp, both ways', async () => {
    const [there, back] = [join(files, own('there')), join(files, own('back'))];
    writeFileSync(there, `content ${version}\n`);
    await kubectl('cp', there, `subject:/tmp/${version}`, '-c', 'side');
    await kubectl('cp', `subject:/tmp/${version}`, back, '-c', 'side');
    expect(readFileSync(back, 'utf8')).toBe(`content ${version}\n`);
  });

  test.concurrent('port-forward', async () => {
    const forward = spawn(path, ['port-forward', 'pod/subject', ':8080'], {
      env: { ...process.env, ...node.current.kubectlEnv },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(createInterface(forward.stdout), 'line')) as [string];
      const port = /127\.0\.0\.1:(\d+) -> 8080/.exec(line)?.[1];
      for (let i = 0; i < 3; i++) expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('hi\n');
    } finally {
      forward.kill();
      await once(forward, 'exit');
    }
  });

  test.concurrent('version and api-resources', async () => {
    expect(await kubectl('version')).toMatch(/Server Version: .*v1\.\d+\./);
    const resources = await kubectl('api-resources');
    for (const name of [
      'configmaps',
      'events',
      'namespaces',
      'nodes',
      'pods',
      'secrets',
      'serviceaccounts',
      'leases',
    ]) {
      expect(resources).toMatch(new RegExp(`^${name} `, 'm'));
    }
    expect(await kubectl('api-versions')).toContain('v1\n');
    expect(await kubectl('explain', 'pod.spec.restartPolicy')).toContain('restartPolicy');
    expect(await kubectl('auth', 'can-i', 'create', 'pods')).toBe('yes\n');
  });

  test.concurrent('as somebody else', async () => {
    expect((await result(['auth', 'can-i', 'create', 'pods', '--as=alice'])).stdout).toBe('no\n');
    expect((await result(['get', 'pods', '--as=alice'])).stderr).toContain(
      'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"',
    );
    expect(await kubectl('get', 'pods', '--as=alice', '--as-group=system:masters')).toContain('subject');
  });

  test.concurrent('debug with a copy of a pod', async () => {
    const name = own('debugged');
    await kubectl('debug', 'subject', `--copy-to=${name}`, '--container=web', '--', 'sh', '-c', 'echo copied');
    await eventually(async () => expect(await kubectl('logs', name, '-c', 'web')).toBe('copied\n'), 20_000);
    await kubectl('delete', 'pod', name);
  });

  test.concurrent('replace with the manifest that a pod was made from', async () => {
    const name = own('replaced');
    const file = join(files, `${name}.json`);
    const nodeName = await kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}');
    const spec = { nodeName, serviceAccountName: 'default', containers: [sh('app', WAIT)] };
    writeFileSync(file, podManifest(name, spec));
    await kubectl('create', '-f', file);
    // kubectl names the version that it has just read: no status may come in between.
    await node.current.podReady(name);
    expect(await kubectl('replace', '-f', file)).toBe(`pod/${name} replaced\n`);
    await kubectl('delete', '-f', file);
  });

  test.concurrent('get -w shows each change', async () => {
    const name = own('watched');
    const watch = spawn(path, ['get', 'pods', '-w', '--no-headers'], {
      env: { ...process.env, ...node.current.kubectlEnv },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines: string[][] = [];
      createInterface(watch.stdout).on('line', (line) => lines.push(line.split(/\s+/)));
      // What was there before is listed first: from then on it sees everything.
      await eventually(() => expect(lines.map(([pod]) => pod)).toContain('subject'), 20_000);
      await node.current.apply(podManifest(name, { restartPolicy: 'Never', containers: [sh('app', 'sleep 0.5')] }));
      const seen = (): string[] => lines.filter(([pod]) => pod === name).map(([, , status]) => status!);
      await eventually(() => expect(seen()).toContain('Completed'), 20_000);
      expect(seen()).toContain('ContainerCreating');
    } finally {
      watch.kill();
      await once(watch, 'exit');
    }
    await kubectl('delete', 'pod', name);
  });

  if (minor! <= 30) {
    test.concurrent('exec as the tutorial types it, without --', async () => {
      expect(await kubectl('exec', 'subject', 'hostname')).toBe('subject\n');
    });
  }
});

if (!hasKubectl()) test('kubectl', ({ skip }) => skip('there is no kubectl 1.27 or newer on this machine'));
