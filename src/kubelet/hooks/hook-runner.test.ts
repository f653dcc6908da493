import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Container, LifecycleHandler, Pod } from '../../api/generated/types.ts';
import { CriError } from '../../cri/cri-error.ts';
import type { RuntimeService } from '../../cri/runtime-service.ts';
import { SystemClock } from '../../lib/clock.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { DefaultHookRunner, HookError } from './hook-runner.ts';

const traces = readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8');
const pod = { metadata: { name: 'p', namespace: 'NS', uid: 'UID' }, spec: { containers: [] } } as Pod;
const never = new AbortController().signal;

const exits = (exitCode: number, stdout = '', stderr = ''): Partial<RuntimeService> => ({
  execSync: async () => ({ exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) }),
});

function run(
  hook: 'postStart' | 'preStop',
  handler: LifecycleHandler | undefined,
  options: { runtime?: Partial<RuntimeService>; clock?: FakeClock; podIP?: string; signal?: AbortSignal } = {},
): Promise<unknown> {
  const runtime = (options.runtime ?? {}) as RuntimeService;
  const runner = new DefaultHookRunner({ runtime, clock: options.clock ?? new SystemClock() });
  const container = { name: 'app', ...(handler ? { lifecycle: { [hook]: handler } } : {}) } as Container;
  return runner.run(pod, container, 'id', hook, options.podIP, options.signal ?? never).then(
    () => 'done',
    (error: unknown) => error,
  );
}

describe('hooks', () => {
  it('do nothing when there is none', async () => {
    expect(await run('preStop', undefined)).toBe('done');
  });

  it('exec: fails in the words of 1.36, one for the event and one for the status', async () => {
    const error = (await run('postStart', { exec: { command: ['false'] } }, { runtime: exits(1) })) as HookError;
    expect(error).toBeInstanceOf(HookError);
    expect(traces).toContain(`"${error.message}"`);
    expect(traces).toContain(JSON.stringify(error.detail));
    const stop = (await run('preStop', { exec: { command: ['false'] } }, { runtime: exits(1) })) as HookError;
    expect(stop.message).toBe('PreStopHook failed');
    expect(traces).toContain(`"${stop.message}"`);
  });

  it('exec: shows output, and what the runtime says', async () => {
    const command = ['sh', '-c', 'x'];
    const error = (await run('preStop', { exec: { command } }, { runtime: exits(2, 'o', 'e') })) as HookError;
    expect(error.detail).toContain(
      `([sh -c x]) for Container "app" in Pod "p_NS(UID)" failed - error: command 'sh -c x'`,
    );
    expect(error.detail).toContain('exited with 2: e, message: "oe"');
    const execSync = async () => {
      throw new CriError('NOT_FOUND', 'ExecSync', 'no container');
    };
    const gone = (await run('preStop', { exec: { command } }, { runtime: { execSync } })) as HookError;
    expect(gone.detail).toContain('error: rpc error: code = NotFound desc = no container, message: ""');
  });

  it('httpGet: any status will do, no answer will not', async () => {
    let agent: string | undefined;
    const server = createServer((req, res) => {
      agent = req.headers['user-agent'];
      res.writeHead(500).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await run('postStart', { httpGet: { port, path: '/up' } }, { podIP: '127.0.0.1' })).toBe('done');
    expect(agent).toBe('kube-lifecycle/1.36');
    await new Promise((resolve) => server.close(resolve));
    const error = (await run('postStart', { httpGet: { port, path: '/up' } }, { podIP: '127.0.0.1' })) as HookError;
    expect(error.detail).toBe(
      `HTTP lifecycle hook (/up) for Container "app" in Pod "p_NS(UID)" failed - error: Get "http://127.0.0.1:${port}/up": ` +
        `dial tcp 127.0.0.1:${port}: connect: connection refused`,
    );
  });

  it('sleep: takes its time, and ends at once when waiting is given up', async () => {
    const clock = new FakeClock();
    let outcome: unknown;
    void run('preStop', { sleep: { seconds: 5 } }, { clock }).then((o) => (outcome = o));
    await clock.advance(4999);
    expect(outcome).toBeUndefined();
    await clock.advance(1);
    expect(outcome).toBe('done');
    const abort = new AbortController();
    const waiting = run('preStop', { sleep: { seconds: 5 } }, { clock, signal: abort.signal });
    abort.abort();
    expect(await waiting).toMatchObject({ name: 'AbortError' });
  });

  it('tcpSocket: fails, as no kubelet carries it out', async () => {
    const error = (await run('postStart', { tcpSocket: { port: 1 } })) as HookError;
    expect(error.detail).toContain('Cannot run handler: invalid handler');
  });
});
