import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { instanceLayout } from '../../src/lib/instance.ts';
import { leftoversOf } from './harness/leftovers.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { outputOf, type ProcessOptions, type ProcessResult, runProcess } from './harness/run-process.ts';
import { useNode } from './harness/test-node.ts';

const node = useNode();
const files = mkdtempSync(join(tmpdir(), 'kubelette-e2e-bad-'));
afterAll(() => rmSync(files, { recursive: true, force: true }));
const { kubelette } = inject('e2e');

function file(name: string, content: string): string {
  const path = join(files, name);
  writeFileSync(path, content);
  return path;
}

/** A refusal: exit code 1, nothing on stdout, no stack trace, few lines. */
function expectRefusal(result: ProcessResult, what: string | RegExp): void {
  expect(result.stderr).toMatch(what);
  expect(result.stderr).not.toMatch(/^\s+at .*[:(]/m);
  expect(result.code).toBe(1);
}

describe.concurrent('manifests', () => {
  test('a YAML error says file, line and column', async () => {
    const path = file('broken.yaml', 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n bad: [1\n');
    expectRefusal(await node.current.kubeletteResult(['apply', '-f', path]), /broken\.yaml:5:\d+/);
  });

  test('every error of an invalid manifest at once, in the words of the API server', async () => {
    const invalid = file(
      'invalid.yaml',
      podManifest('Invalid_Name', {
        restartPolicy: 'Sometimes' as never,
        containers: [
          { name: 'a', image: '' },
          { name: 'a', image: 'busybox', ports: [{ containerPort: 70_000 }] },
        ],
      }),
    );
    const errors = [
      'metadata.name: Invalid value: "Invalid_Name": a lowercase RFC 1123 subdomain must consist of',
      'spec.containers[0].image: Required value',
      'spec.containers[1].name: Duplicate value: "a"',
      'spec.containers[1].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
    ];
    const ours = await node.current.kubeletteResult(['apply', '-f', invalid]);
    const theirs = await node.current.kubectlResult(['apply', '-f', invalid]);
    for (const error of errors) {
      expect(ours.stderr).toContain(error);
      expect(theirs.stderr).toContain(error);
    }
    expectRefusal(ours, 'Invalid_Name');
    expect(theirs.stderr).toContain('The Pod "Invalid_Name" is invalid');
    expect(theirs.code).toBe(1);
  });

  test('an unknown field is an error by name, or a warning where that is asked for', async () => {
    const path = file(
      'typo.yaml',
      podManifest('typo', { containers: [{ ...sh('app', WAIT), comand: ['x'] } as never] }),
    );
    const strict = await node.current.kubectlResult(['apply', '-f', path]);
    expect(strict.stderr).toContain('strict decoding error: unknown field "spec.containers[0].comand"');
    expect(strict.code).toBe(1);
    const warned = await node.current.kubectlResult(['apply', '--validate=warn', '-f', path]);
    expect(warned.stderr).toContain('Warning: unknown field "spec.containers[0].comand"');
    expect(warned.stdout).toBe('pod/typo created\n');
  });

  test('a field that is not carried out yet is named', async () => {
    const secret = { name: 'v', nfs: { server: 'nowhere', path: '/' } };
    const path = file('later.yaml', podManifest('later', { volumes: [secret], containers: [sh('app', WAIT)] }));
    const { stderr } = await node.current.kubectlResult(['apply', '-f', path]);
    expect(stderr).toContain('spec.volumes[0].nfs');
  });

  test('a file that is not there, and an empty one', async () => {
    expectRefusal(await node.current.kubeletteResult(['apply', '-f', '/no/such.yaml']), '/no/such.yaml');
    expectRefusal(await node.current.kubeletteResult(['apply', '-f', file('empty.yaml', '# nothing\n')]), 'empty.yaml');
  });

  test('a pod that is not there', async () => {
    for (const words of [
      ['logs', 'nobody'],
      ['exec', 'nobody', '--', 'true'],
      ['delete', 'pod', 'nobody'],
      ['describe', 'pod', 'nobody'],
      ['trace', 'nobody'],
    ]) {
      expectRefusal(await node.current.kubeletteResult(words), 'pods "nobody" not found');
    }
  });
});

describe.concurrent('starting an agent', () => {
  /** `kubelette up` that must fail, on a root directory of its own, of which nothing may be left. */
  async function up(
    args: readonly string[],
    options?: ProcessOptions,
    [command, ...words]: readonly [string, ...string[]] = [kubelette],
  ): Promise<ProcessResult> {
    const rootDir = mkdtempSync(join(files, 'root-'));
    const result = await runProcess(
      command,
      [...words, 'up', '--detach', '--root-dir', rootDir, '--port', '0', ...args],
      options,
    );
    const layout = instanceLayout(rootDir);
    const left = (await leftoversOf(layout, new Set())).filter((what) => what !== `directory ${rootDir}`);
    await runProcess(kubelette, ['down', '--purge', '--root-dir', rootDir]);
    expect(left).toEqual([]);
    return result;
  }

  /** kubelette in a mount namespace of its own, where a program is not executable. */
  const without = (program: string): [string, ...string[]] => {
    const hide = `PATH=$PATH:/usr/sbin:/sbin; mount --bind /dev/null "$(readlink -f "$(command -v ${program})")" && exec "$@"`;
    return ['unshare', '--mount', 'sh', '-c', hide, 'sh', kubelette];
  };

  test('two on one root directory', async () => {
    const result = await node.current.kubeletteResult(['up', '--detach', '--port', '0']);
    expectRefusal(
      result,
      new RegExp(`${node.current.layout.rootDir}.*(already|in use)|(already|in use).*${node.current.layout.rootDir}`),
    );
    await node.current.kubectl('get', 'nodes');
  });

  test('a port that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    expectRefusal(await up(['--port', String(port)]), String(port));
    server.close();
  });

  test('not root', async () => {
    const words = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', kubelette] as const;
    const rootDir = mkdtempSync(join(tmpdir(), 'kubelette-e2e-nobody-'));
    const result = await runProcess(words[0], [
      ...words.slice(1),
      'up',
      '--detach',
      '--root-dir',
      rootDir,
      '--port',
      '0',
    ]);
    expectRefusal(result, /root/);
    rmSync(rootDir, { recursive: true });
  });

  test('no containerd', async () => {
    const result = await up([], {}, without('containerd'));
    expectRefusal(result, /containerd/);
  });

  test('no nft, and no right to use it', async () => {
    expectRefusal(await up([], {}, without('nft')), /nft is not installed.*\n.*apt-get install nftables/);
    const powerless = ['setpriv', '--bounding-set=-net_admin', kubelette] as const;
    expectRefusal(await up([], {}, powerless), /not allowed to change nftables.*\n.*CAP_NET_ADMIN/);
  });

  test('a runtime that is not there, and one that does not answer', async () => {
    expectRefusal(await up(['--runtime-endpoint', '/no/such.sock']), '/no/such.sock');
    const socket = join(files, 'mute.sock');
    const mute = createServer(() => {}).listen(socket);
    await new Promise((resolve) => mute.once('listening', resolve));
    expectRefusal(await up(['--runtime-endpoint', socket]), /mute\.sock/);
    mute.close();
  });

  test('a full disk', async () => {
    const rootDir = mkdtempSync(join(files, 'full-'));
    await outputOf('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'full', rootDir]);
    try {
      await runProcess('sh', ['-c', `head -c 1000000 /dev/zero > ${rootDir}/filler`]);
      const result = await runProcess(kubelette, [
        'up',
        '--detach',
        '--root-dir',
        join(rootDir, 'root'),
        '--port',
        '0',
      ]);
      expectRefusal(result, /space|full/i);
      const left = await leftoversOf(instanceLayout(join(rootDir, 'root')), new Set());
      expect(left.filter((what) => !what.startsWith(`directory ${rootDir}`))).toEqual([]);
    } finally {
      await outputOf('umount', ['-l', rootDir]);
    }
  });

  test('options that make no sense are named with value and reason', async () => {
    for (const [option, value] of [
      ['--port', '70000'],
      ['--pod-cidr', '10.0.0.0/33'],
      ['--registry-mirror', 'nowhere'],
      ['--max-container-restart-period', '0'],
    ] as const) {
      const result = await up([option, value]);
      expectRefusal(result, option);
      expect(result.stderr).toContain(value);
    }
  });
});
