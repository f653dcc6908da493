import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { instanceLayout } from '../../src/lib/instance.ts';
import { eventually } from './harness/eventually.ts';
import { leftoversOf } from './harness/leftovers.ts';
import { podManifest, sh, WAIT } from './harness/manifests.ts';
import { type ProcessResult, runProcess } from './harness/run-process.ts';

const { kubelette, directory, registryMirror, resolvConf } = inject('e2e');
const work = mkdtempSync(join(directory, 'run-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** `kubelette run` of one pod on a root directory of its own. */
function start(name: string, manifest: string): { args: string[]; rootDir: string } {
  const rootDir = mkdtempSync(join(directory, 'node-'));
  const file = join(work, `${name}.yaml`);
  writeFileSync(file, manifest);
  const args = [
    'run',
    file,
    '--root-dir',
    rootDir,
    '--port',
    '0',
    '--registry-mirror',
    registryMirror,
    '--resolv-conf',
    resolvConf,
  ];
  return { args, rootDir };
}

async function down(rootDir: string): Promise<void> {
  await runProcess(kubelette, ['down', '--purge', '--root-dir', rootDir]);
  expect(await leftoversOf(instanceLayout(rootDir), new Set())).toEqual([]);
}

// Without kubectl: one command starts what is needed and shows the pod.
describe('kubelette run', () => {
  test('shows the way to Ready, then Ctrl-C removes what it made', async () => {
    const { args, rootDir } = start(
      'web',
      podManifest('web', {
        initContainers: [sh('first', 'sleep 0.5')],
        containers: [
          sh('app', `sleep 1; touch /tmp/ok; ${WAIT}`, {
            readinessProbe: { exec: { command: ['cat', '/tmp/ok'] }, periodSeconds: 1 },
          }),
        ],
      }),
    );
    const child = spawn(kubelette, [...args, '--no-detach'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = once(child, 'exit');
    try {
      let output = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (chunk: string) => {
          output += chunk;
        });
      }
      await eventually(() => expect(output).toContain('web: Ready.'), 30_000);
      for (const part of ['web/first: running', 'web/first: done', 'pulling image', 'busybox:1.36']) {
        expect(output).toContain(part);
      }
      // The kubelet is asked for probe results, so this line may follow that which it leads to.
      await eventually(() => expect(output).toContain('readiness probe succeeded'));
      child.kill('SIGINT');
      expect((await exited)[0]).toBe(130);
      expect(existsSync(instanceLayout(rootDir).agentFile)).toBe(false);
    } finally {
      child.kill('SIGKILL');
      await exited;
      await down(rootDir);
    }
  });

  test('in a terminal: each probe with its last results, live; Ctrl-C on the keyboard ends it', async () => {
    const { args, rootDir } = start(
      'live',
      podManifest('live', {
        initContainers: [sh('first', 'sleep 1')],
        containers: [
          sh('app', `sleep 3; touch /tmp/ok; ${WAIT}`, {
            readinessProbe: { exec: { command: ['cat', '/tmp/ok'] }, periodSeconds: 1 },
          }),
        ],
      }),
    );
    // `script` is the terminal: what is typed goes to its input.
    const words = `stty cols 100 rows 30; exec ${[kubelette, ...args].join(' ')}`;
    const terminal = spawn('script', ['-qec', words, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const exited = once(terminal, 'exit');
    try {
      let screen = '';
      terminal.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        screen += chunk;
      });
      await eventually(() => expect(screen).toMatch(/live.*1\/1.*Ready/s), 30_000);
      // Drawn in place, not line after line.
      expect(screen).toContain('\u001b[');
      for (const part of ['first', 'app', 'readiness']) expect(screen).toContain(part);
      expect(screen).toContain("cat: can't open '/tmp/ok'");
      terminal.stdin.write('\x03');
      expect((await exited)[0]).toBe(130);
      expect(existsSync(instanceLayout(rootDir).agentFile)).toBe(false);
    } finally {
      terminal.kill('SIGKILL');
      await exited;
      await down(rootDir);
    }
  });

  // As when its terminal is closed.
  test('a hang-up removes what it made, with the node that it started', async () => {
    const { args, rootDir } = start('hung', podManifest('hung', { containers: [sh('app', WAIT)] }));
    const child = spawn(kubelette, [...args, '--no-detach'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    try {
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
      await eventually(() => expect(output).toContain('hung: Ready.'), 30_000);
      child.stdout.destroy();
      child.kill('SIGHUP');
      expect((await exited)[0]).toBe(129);
      expect(existsSync(instanceLayout(rootDir).runDir)).toBe(false);
    } finally {
      child.kill('SIGKILL');
      await exited;
      await down(rootDir);
    }
  });

  test('returns at Ready where the output is no terminal, and leaves the node running', async () => {
    const { args, rootDir } = start('stays', podManifest('stays', { containers: [sh('app', WAIT)] }));
    try {
      const { code, stdout } = await runProcess(kubelette, args);
      expect(code).toBe(0);
      expect(stdout).toContain('stays: Ready.');
      const pods = await runProcess(kubelette, ['get', '--root-dir', rootDir, 'pods']);
      expect(pods.stdout).toMatch(/^stays +1\/1 +Running +0 /m);
    } finally {
      await down(rootDir);
    }
  });

  test("ends with the pod's exit code when the pod does", async () => {
    const { args, rootDir } = start(
      'job',
      podManifest('job', { restartPolicy: 'Never', containers: [sh('app', 'echo working; exit 3')] }),
    );
    try {
      const result: ProcessResult = await runProcess(kubelette, args);
      expect(result.code).toBe(3);
    } finally {
      await down(rootDir);
    }
  });
});
