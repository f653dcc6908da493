import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ContainerState, Pod } from '../../api/generated/types.ts';
import { CertificateAuthority, type KeyPair } from '../../apiserver/auth/certificates.ts';
import { CriError } from '../../cri/cri-error.ts';
import type { RuntimeService } from '../../cri/runtime-service.ts';
import { SystemClock } from '../../lib/clock.ts';
import { silentLogger } from '../../lib/logger.ts';
import { PodTraces } from '../../lib/pod-traces.ts';
import type { PodLookup, ProbeManager, ProbeRecord } from '../ports.ts';
import type { ContainerRuntimeStatus } from '../runtime-status.ts';
import { startKubeletServer } from './kubelet-server.ts';

const clock = new SystemClock();
const pod = {
  metadata: { name: 'p', namespace: 'ns', uid: 'u' },
  spec: { containers: [{ name: 'app' }, { name: 'side' }], initContainers: [{ name: 'init' }] },
  status: {},
} as unknown as Pod;
const record = { container: 'app', type: 'readiness', verdict: 'failure' } as ProbeRecord;

let server: Awaited<ReturnType<typeof startKubeletServer>>;
let client: KeyPair;
let stranger: KeyPair;
let ca: string;
let dir: string;
/** By `name` or `name/previous`. */
const instances = new Map<string, Partial<ContainerRuntimeStatus>>();
const keptLogs = new Map<string, string>();
const traces = new PodTraces(clock);
let runtime: Partial<RuntimeService>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kubelet-server-'));
  const authority = CertificateAuthority.create({ commonName: 'ca' }, clock.now());
  ca = authority.cert;
  client = authority.issueClient({ commonName: 'kube-apiserver' }, clock.now());
  const other = CertificateAuthority.create({ commonName: 'other' }, clock.now());
  stranger = other.issueClient({ commonName: 'kube-apiserver' }, clock.now());
  const key = (name: string, previous: boolean): string => (previous ? `${name}/previous` : name);
  const lookup: PodLookup = {
    pod: (namespace, name) => (namespace === 'ns' && name === 'p' ? pod : undefined),
    pods: () => [pod],
    container: (_uid, name, previous) => instances.get(key(name, previous)) as ContainerRuntimeStatus | undefined,
    sandboxId: () => undefined,
    logPath: (_uid, name, previous) => keptLogs.get(key(name, previous)),
  };
  server = await startKubeletServer({
    lookup,
    runtime: new Proxy({} as RuntimeService, { get: (_target, name) => runtime[name as keyof RuntimeService] }),
    probes: { records: () => [record] } as unknown as ProbeManager,
    traces,
    pulls: { ask: () => ({ doneBytes: 1, totalBytes: 2 }) },
    tls: { ...authority.issueServer('node', ['127.0.0.1'], clock.now()), clientCA: ca },
    port: 0,
    clock,
    logger: silentLogger,
  });
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});
beforeEach(() => {
  instances.clear();
  keptLogs.clear();
  runtime = {};
  pod.status = {};
});

async function get(path: string, options: RequestOptions = client): Promise<{ status: number; body: string }> {
  const request = httpsRequest({ host: '127.0.0.1', port: server.port, ca, path, agent: false, ...options });
  request.end();
  const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }];
  let body = '';
  for await (const chunk of response) body += chunk.toString();
  return { status: response.statusCode, body };
}

/** Asks for an upgrade; gives the refusal, or the connection. */
async function upgrade(path: string): Promise<{ status: number; body: string; socket?: Socket }> {
  const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' };
  const request = httpsRequest({ host: '127.0.0.1', port: server.port, ca, path, agent: false, headers, ...client });
  request.end();
  return await new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('upgrade', (response, socket) =>
      resolve({ status: response.statusCode!, body: String(response.headers['x-stream-protocol-version']), socket }),
    );
    request.once('response', (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.once('end', () => resolve({ status: response.statusCode!, body }));
    });
  });
}

function writeLog(name: string, text: string): string {
  const path = join(dir, `${name}.log`);
  writeFileSync(path, `2026-01-01T00:00:00Z stdout F ${text}\n`);
  return path;
}

describe('the kubelet API', () => {
  it('serves only clients with a certificate of the API server’s authority', async () => {
    expect(await get('/healthz')).toEqual({ status: 200, body: 'ok' });
    expect(await get('/healthz', {})).toEqual({ status: 401, body: 'Unauthorized' });
    expect(await get('/pods', stranger)).toEqual({ status: 401, body: 'Unauthorized' });
  });

  it('lists pods, and those that run', async () => {
    expect(JSON.parse((await get('/pods')).body)).toMatchObject({
      kind: 'PodList',
      items: [{ metadata: { name: 'p' } }],
    });
    expect(JSON.parse((await get('/runningpods/')).body).items).toEqual([]);
    instances.set('app', { state: 'running' });
    expect(JSON.parse((await get('/runningpods/')).body).items).toHaveLength(1);
  });

  it('shows what pulls have come to', async () => {
    expect(JSON.parse((await get('/pulls')).body)).toEqual({ doneBytes: 1, totalBytes: 2 });
  });

  it('shows the records of the probes', async () => {
    expect(JSON.parse((await get('/probes/ns/p')).body)).toEqual([record]);
    expect(await get('/probes/ns/none')).toEqual({ status: 404, body: 'pod "none" does not exist' });
  });

  it('shows where the time went', async () => {
    const empty = { namespace: 'ns', name: 'p', uid: 'u', sections: [] };
    expect(JSON.parse((await get('/traces/ns/p')).body)).toEqual(empty);
    traces.created('u', clock.monotonic());
    expect(JSON.parse((await get('/traces/ns/p')).body)).toMatchObject({ ...empty, sections: [{ cause: 'start' }] });
    expect(await get('/traces/ns/none')).toEqual({ status: 404, body: 'pod "none" does not exist' });
  });

  it('knows nothing else', async () => {
    expect((await get('/secrets')).status).toBe(404);
    expect((await get('/containerLogs/ns/p')).status).toBe(404);
    expect((await get('/containerLogs/ns/%E0%A4%A/app')).status).toBe(400);
  });
});

describe('logs', () => {
  const logs = (container: string, query = '') => get(`/containerLogs/ns/p/${container}?${query}`);

  it('come from the newest instance, the one before, or what outlived an instance', async () => {
    instances.set('app', { id: 'new', startedAt: 2, logPath: writeLog('1', 'new') });
    instances.set('app/previous', { id: 'old', startedAt: 1, logPath: writeLog('0', 'old') });
    keptLogs.set('init', writeLog('init', 'kept'));
    expect(await logs('app')).toEqual({ status: 200, body: 'new\n' });
    expect(await logs('app', 'previous=true&timestamps=true')).toEqual({
      status: 200,
      body: '2026-01-01T00:00:00.000000000Z old\n',
    });
    expect(await logs('init', 'follow=true')).toEqual({ status: 200, body: 'kept\n' });
  });

  it('are those of the instance before while the newest has not started', async () => {
    instances.set('app', { id: 'new', state: 'created', startedAt: 0, logPath: join(dir, 'not-there.log') });
    instances.set('app/previous', { id: 'old', startedAt: 1, logPath: writeLog('0', 'old') });
    expect((await logs('app')).body).toBe('old\n');
  });

  it('are those of the instance that ended last, asked for the previous one while the next is waited for', async () => {
    instances.set('app', { id: 'last', state: 'exited', startedAt: 2, logPath: writeLog('1', 'last') });
    instances.set('app/previous', { id: 'older', startedAt: 1, logPath: writeLog('0', 'older') });
    expect((await logs('app', 'previous=1')).body).toBe('older\n');
    const lastState = { terminated: { exitCode: 1, containerID: 'containerd://last' } };
    pod.status = { containerStatuses: [{ name: 'app', lastState }] } as unknown as Pod['status'];
    expect((await logs('app', 'previous=1')).body).toBe('last\n');
  });

  const waiting = (reason: string): ContainerState => ({ waiting: { reason } });
  it.each<[ContainerState | undefined, string]>([
    [waiting('ContainerCreating'), 'is waiting to start: ContainerCreating'],
    [waiting('ErrImagePull'), "is waiting to start: image can't be pulled"],
    [waiting('ImagePullBackOff'), 'is waiting to start: trying and failing to pull image'],
    [{ terminated: { exitCode: 1 } }, 'is terminated'],
    [{}, 'is waiting to start - no logs yet'],
    [undefined, 'is not available'],
  ])('are refused in the words of the kubelet: %j', async (state, words) => {
    if (state) pod.status = { containerStatuses: [{ name: 'app', state }] } as unknown as Pod['status'];
    expect(await logs('app')).toEqual({ status: 400, body: `container "app" in pod "p" ${words}` });
  });

  it('are refused when there is no such instance, container or pod, or the options are bad', async () => {
    expect(await logs('app', 'previous=1')).toEqual({
      status: 400,
      body: 'previous terminated container "app" in pod "p" not found',
    });
    expect(await logs('none')).toEqual({ status: 404, body: 'container "none" not found in pod "p"' });
    expect((await get('/containerLogs/ns/none/app')).status).toBe(404);
    expect((await logs('app', 'tailLines=x')).status).toBe(422);
    instances.set('app', { id: 'abc', startedAt: 1, logPath: join(dir, 'not-there.log') });
    expect(await logs('app')).toEqual({ status: 400, body: 'unable to retrieve container logs for containerd://abc' });
    instances.clear();
    keptLogs.set('app', join(dir, 'not-there.log'));
    const status = { name: 'app', containerID: 'containerd://def', state: { terminated: { exitCode: 0 } } };
    pod.status = { containerStatuses: [status] } as unknown as Pod['status'];
    expect(await logs('app')).toEqual({ status: 400, body: 'unable to retrieve container logs for containerd://def' });
  });
});

describe('streams', () => {
  let streaming: Server;
  let seen: { url: string; protocols: string } | undefined;
  /** What the runtime's streaming server answers; 101 makes it echo. */
  let answer: number;
  let runtimeSocket: Duplex | undefined;
  let url: string;
  beforeAll(async () => {
    streaming = createServer((_request, response) => response.writeHead(answer).end('expired'));
    streaming.on('upgrade', (request, socket) => {
      seen = { url: request.url!, protocols: String(request.headers['x-stream-protocol-version']) };
      if (answer !== 101) {
        socket.end(`HTTP/1.1 ${answer} No\r\ncontent-length: 7\r\n\r\nexpired`);
        return;
      }
      socket.write(
        'HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
      );
      runtimeSocket = socket;
      socket.pipe(socket);
    });
    streaming.listen(0, '127.0.0.1');
    await once(streaming, 'listening');
    url = `http://127.0.0.1:${(streaming.address() as AddressInfo).port}/exec/token`;
  });
  afterAll(() => streaming.close());
  beforeEach(() => {
    answer = 101;
    instances.set('app', { id: 'id', state: 'running' });
  });

  it('join the client with the runtime, in what the client asked for', async () => {
    let asked: unknown;
    runtime = {
      exec: async (request) => {
        asked = request;
        return url;
      },
    };
    const { status, body, socket } = await upgrade(
      '/exec/ns/p/app?command=sh&command=-c&stdin=1&output=1&error=1&tty=1',
    );
    expect([status, body, seen!.url]).toEqual([101, 'v4.channel.k8s.io', '/exec/token']);
    const cmd = ['sh', '-c'];
    expect(asked).toEqual({ containerId: 'id', cmd, tty: true, stdin: true, stdout: true, stderr: false });
    socket!.write('ping');
    expect(String((await once(socket!, 'data'))[0])).toBe('ping');
    socket!.destroy();
  });

  it.each([
    ['/exec/ns/p/side?command=x&stdout=1', 500, 'container not found ("side")'],
    ['/exec/ns/none/app?command=x&stdout=1', 404, 'pod "none" does not exist'],
    ['/exec/ns/p/app?stdout=1', 400, 'you must specify at least one command for the container'],
    ['/attach/ns/p/app', 400, 'you must specify at least 1 of stdin, stdout, stderr'],
    ['/portForward/ns/p', 500, 'pod not found ("p_ns")'],
  ])('are refused before anything is upgraded: %s', async (path, status, body) => {
    expect(await upgrade(path)).toEqual({ status, body });
  });

  it('pass on why the runtime refused', async () => {
    const attach = async (): Promise<string> => {
      throw new CriError('UNAVAILABLE', 'Attach', 'no runtime');
    };
    runtime = { attach };
    expect(await upgrade('/attach/ns/p/app?stdout=1')).toEqual({
      status: 500,
      body: 'rpc error: code = Unavailable desc = no runtime',
    });
    runtime = { attach: async () => url };
    answer = 404;
    expect(await upgrade('/attach/ns/p/app?stdout=1')).toEqual({ status: 404, body: 'expired' });
  });

  it('leave a WebSocket open that has yet to read what was sent before the end', async () => {
    runtime = { exec: async () => url };
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const headers = {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        'sec-websocket-protocol': 'v5.channel.k8s.io',
      };
      const path = '/exec/ns/p/app?command=x&stdout=1';
      const request = httpsRequest({
        host: '127.0.0.1',
        port: server.port,
        ca,
        path,
        agent: false,
        headers,
        ...client,
      });
      request.end();
      const [, socket, head] = (await once(request, 'upgrade')) as [unknown, Socket, Buffer];
      let received = head;
      socket.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
      runtimeSocket!.unpipe().end();
      // The frame that closes.
      while (!received.includes(0x88)) await once(socket, 'data');
      vi.advanceTimersByTime(3600_000);
      vi.useRealTimers();
      const ended = once(socket, 'end').then(() => 'ended');
      expect(await Promise.race([ended, clock.sleep(100)])).toBe(undefined);
      socket.destroy();
    } finally {
      vi.useRealTimers();
    }
  });

  it('need an upgrade', async () => {
    expect(await get('/exec/ns/p/app?command=x&stdout=1')).toEqual({ status: 400, body: 'Upgrade request required' });
  });
});
