import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Pod } from '../../api/generated/types.ts';
import { CertificateAuthority, type KeyPair } from '../../apiserver/auth/certificates.ts';
import { writeBusyboxArchive } from '../../cri/busybox-archive.ts';
import { connectRuntime, type RuntimeConnection } from '../../cri/cri-client.ts';
import { ContainerConfig, PodSandboxConfig } from '../../cri/generated/cri.ts';
import { ManagedContainerd } from '../../cri/managed-containerd.ts';
import { removeContainerdState } from '../../cri/remove-containerd-state.ts';
import { SystemClock } from '../../lib/clock.ts';
import { instanceLayout } from '../../lib/instance.ts';
import { silentLogger } from '../../lib/logger.ts';
import type { PodLookup, ProbeManager } from '../ports.ts';
import type { ContainerRuntimeStatus } from '../runtime-status.ts';
import { startKubeletServer } from './kubelet-server.ts';
import { SpdyConnection } from './spdy-connection.ts';

const BUSYBOX = 'docker.io/library/busybox:latest';
const PAUSE = 'registry.k8s.io/pause:3.10';
const MEGABYTES = 20 << 20;
const clock = new SystemClock();
const logger = silentLogger;

const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex');

// The streaming parts of the kubelet's API on a real containerd: what kubectl does, without an API server in between.
describe('the kubelet API on containerd', () => {
  const instance = mkdtemp(join(tmpdir(), 'kubelet-server-')).then(instanceLayout);
  let containerd: ManagedContainerd;
  let connection: RuntimeConnection;
  let server: Awaited<ReturnType<typeof startKubeletServer>>;
  let client: KeyPair;
  let sandbox: string;
  let sandboxConfig: PodSandboxConfig;
  let ca: string;
  const containers = new Map<string, ContainerRuntimeStatus>();
  const pod = {
    metadata: { name: 'p', namespace: 'ns', uid: 'u' },
    spec: { containers: [{ name: 'app' }, { name: 'talk' }, { name: 'prints' }] },
  } as Pod;

  async function start(name: string, command: string[], more: Partial<ContainerConfig> = {}): Promise<string> {
    const layout = await instance;
    const config = ContainerConfig.fromPartial({
      metadata: { name, attempt: 0 },
      image: { image: BUSYBOX },
      command,
      logPath: `${name}.log`,
      linux: { resources: {}, securityContext: {} },
      ...more,
    });
    const id = await connection.runtime.createContainer(sandbox, config, sandboxConfig);
    await connection.runtime.startContainer(id);
    const logPath = join(layout.podLogsDir, 'p', `${name}.log`);
    containers.set(name, { id, name, state: 'running', startedAt: 1, logPath } as ContainerRuntimeStatus);
    return id;
  }

  beforeAll(async () => {
    const layout = await instance;
    containerd = new ManagedContainerd({ layout, podCIDR: '10.250.0.0/24', pauseImage: PAUSE, clock, logger });
    await containerd.start(new AbortController().signal);
    const archive = await writeBusyboxArchive([BUSYBOX, PAUSE]);
    await promisify(execFile)('ctr', ['-a', layout.containerd.socket, '-n', 'k8s.io', 'images', 'import', archive]);
    await rm(dirname(archive), { recursive: true });
    connection = connectRuntime({ endpoint: containerd.endpoint, clock, logger });
    mkdirSync(join(layout.podLogsDir, 'p'), { recursive: true });
    sandboxConfig = PodSandboxConfig.fromPartial({
      metadata: { name: 'p', namespace: 'ns', uid: 'u', attempt: 0 },
      logDirectory: join(layout.podLogsDir, 'p'),
      linux: {
        cgroupParent: `${layout.cgroupParent}/p`,
        // The host's network: no CNI needed.
        securityContext: { namespaceOptions: { network: 2, pid: 1, ipc: 0, targetId: '' } },
      },
    });
    sandbox = await connection.runtime.runPodSandbox(sandboxConfig, '');
    await start('app', ['sh', '-c', 'while :; do sleep 1; done']);
    const authority = CertificateAuthority.create({ commonName: 'ca' }, clock.now());
    ca = authority.cert;
    client = authority.issueClient({ commonName: 'kube-apiserver' }, clock.now());
    const lookup: PodLookup = {
      pod: (namespace, name) => (namespace === 'ns' && name === 'p' ? pod : undefined),
      pods: () => [pod],
      container: (_uid, name, previous) => (previous ? undefined : containers.get(name)),
      sandboxId: () => sandbox,
      logPath: () => undefined,
    };
    server = await startKubeletServer({
      lookup,
      runtime: connection.runtime,
      probes: {} as ProbeManager,
      traces: { sections: () => undefined },
      pulls: { ask: () => undefined },
      tls: { ...authority.issueServer('node', ['127.0.0.1'], clock.now()), clientCA: ca },
      port: 0,
      clock,
      logger,
    });
  });

  afterAll(async () => {
    const layout = await instance;
    await server?.close();
    connection?.close();
    await containerd?.stop();
    await removeContainerdState(layout, clock, { keepImages: false });
    await rm(layout.rootDir, { recursive: true, force: true });
    await rm(layout.runDir, { recursive: true, force: true });
  });

  const tls = () => ({ ...client, ca, host: '127.0.0.1', port: server.port });

  /** What a WebSocket client sees: per channel all bytes, and how the connection closed. */
  async function overWebSocket(
    path: string,
    talk: (socket: WebSocket) => void = () => {},
    protocol = 'v5.channel.k8s.io',
  ): Promise<{ out: Buffer; err: string; status: { status?: string; details?: { causes?: unknown } }; code: number }> {
    const socket = new WebSocket(`wss://127.0.0.1:${server.port}${path}`, protocol, { ...client, ca });
    const channels = new Map<number, Buffer[]>();
    socket.on('message', (data: Buffer) => {
      channels.set(data[0]!, [...(channels.get(data[0]!) ?? []), data.subarray(1)]);
    });
    socket.once('open', () => talk(socket));
    const [code] = (await once(socket, 'close')) as [number];
    const all = (channel: number): Buffer => Buffer.concat(channels.get(channel) ?? []);
    return { out: all(1), err: all(2).toString(), status: JSON.parse(all(3).toString() || '{}'), code };
  }

  /** A SPDY connection through the kubelet, as kubectl up to 1.29 makes it. */
  async function overSpdy(
    path: string,
    protocol: string,
    data: (stream: number, data: Buffer) => void,
  ): Promise<{ spdy: SpdyConnection; socket: Socket; closed: Promise<unknown> }> {
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol };
    const request = httpsRequest({ ...tls(), path, method: 'POST', headers, agent: false });
    request.end();
    const [response, socket, head] = (await once(request, 'upgrade')) as [{ headers: object }, Socket, Buffer];
    expect(response.headers).toMatchObject({ 'x-stream-protocol-version': protocol });
    const closed = once(socket, 'close');
    return { spdy: new SpdyConnection(socket, head, { data, close: () => {} }), socket, closed };
  }

  const command = (...words: string[]): string => words.map((w) => `command=${encodeURIComponent(w)}`).join('&');

  describe('exec over a WebSocket', () => {
    it('gives both outputs and the exit code', async () => {
      const path = `/exec/ns/p/app?output=1&error=1&${command('sh', '-c', 'echo out; echo err >&2; exit 7')}`;
      const { out, err, status, code } = await overWebSocket(path);
      expect([out.toString(), err, code]).toEqual(['out\n', 'err\n', 1000]);
      expect(status).toMatchObject({
        status: 'Failure',
        reason: 'NonZeroExitCode',
        details: { causes: [{ reason: 'ExitCode', message: '7' }] },
      });
    });

    it('passes 20 MB through cat, ends its input, and succeeds', async () => {
      const sent = randomBytes(MEGABYTES);
      const { out, status } = await overWebSocket(`/exec/ns/p/u/app?input=1&output=1&${command('cat')}`, (socket) => {
        for (let at = 0; at < sent.length; at += 30_000) {
          socket.send(Buffer.concat([Buffer.of(0), sent.subarray(at, at + 30_000)]));
        }
        socket.send(Buffer.of(255, 0));
      });
      expect(digest(out)).toBe(digest(sent));
      expect(status.status).toBe('Success');
    });

    it('gives a terminal of the size asked for, also by the older protocol', async () => {
      const path = `/exec/ns/p/app?stdin=true&stdout=true&stderr=true&tty=true&${command('sh', '-c', 'read x; busybox stty size')}`;
      const { out } = await overWebSocket(
        path,
        (socket) => {
          socket.send(Buffer.concat([Buffer.of(4), Buffer.from('{"Width":123,"Height":45}\n')]));
          setTimeout(() => socket.send(Buffer.concat([Buffer.of(0), Buffer.from('\n')])), 300);
        },
        'v4.channel.k8s.io',
      );
      expect(out.toString()).toContain('45 123');
    });

    it('ends the connection to the runtime when the client goes away', async () => {
      const socket = new WebSocket(
        `wss://127.0.0.1:${server.port}/exec/ns/p/app?input=1&output=1&${command('cat')}`,
        'v5.channel.k8s.io',
        { ...client, ca },
      );
      await once(socket, 'message');
      expect(openConnections()).toBe(3);
      socket.terminate();
      await untilNoConnections();
    });

    it.each([
      ['/exec/ns/p/none?output=1&command=true', 'v5.channel.k8s.io', 500],
      ['/exec/ns/none/app?output=1&command=true', 'v5.channel.k8s.io', 404],
      ['/exec/ns/p/app?command=true', 'v5.channel.k8s.io', 400],
      ['/exec/ns/p/app?output=1', 'v5.channel.k8s.io', 400],
      ['/exec/ns/p/app?output=1&command=true', 'v1.unknown', 400],
      ['/nowhere/ns/p/app', 'v5.channel.k8s.io', 404],
    ])('refuses %s by %s with %i', async (path, protocol, status) => {
      const socket = new WebSocket(`wss://127.0.0.1:${server.port}${path}`, protocol, { ...client, ca });
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
      expect(response.statusCode).toBe(status);
      socket.on('error', () => {});
      socket.terminate();
    });
  });

  describe('exec over SPDY', () => {
    it('goes through byte for byte', async () => {
      const seen: Record<number, string> = {};
      const { spdy, closed } = await overSpdy(
        `/exec/ns/p/app?input=1&output=1&${command('sh', '-c', 'cat; exit 3')}`,
        'v4.channel.k8s.io',
        (stream, data) => (seen[stream] = (seen[stream] ?? '') + data.toString()),
      );
      const error = spdy.open({ streamtype: 'error' });
      const stdin = spdy.open({ streamtype: 'stdin' });
      const stdout = spdy.open({ streamtype: 'stdout' });
      spdy.send(stdin, Buffer.from('hello'));
      spdy.end(stdin);
      await closed;
      expect(seen[stdout]).toBe('hello');
      expect(seen[error]).toContain('"message":"3"');
    });
  });

  it('attach: sees what the container writes, and ends its input', async () => {
    await start('talk', ['sh', '-c', 'while read x; do echo "got $x"; done; echo bye'], {
      stdin: true,
      stdinOnce: true,
    });
    const { out } = await overWebSocket('/attach/ns/p/talk?input=1&output=1', (socket) => {
      socket.send(Buffer.concat([Buffer.of(0), Buffer.from('a\nb\n')]));
      setTimeout(() => socket.send(Buffer.of(255, 0)), 300);
    });
    expect(out.toString()).toBe('got a\ngot b\nbye\n');
  });

  describe('port-forward', () => {
    let echo: Server;
    beforeAll(async () => {
      echo = createServer((socket) => {
        socket.on('error', () => socket.destroy());
        socket.pipe(socket);
      });
      echo.listen(0, '127.0.0.1');
      await once(echo, 'listening');
    });
    afterAll(() => echo.close());

    /** A WebSocket as a stream of bytes. By hand, since no WebSocket client here takes a subprotocol with a `/`, as kubectl sends. */
    async function tunnel(): Promise<Duplex> {
      const headers = {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': randomBytes(16).toString('base64'),
        'sec-websocket-protocol': 'SPDY/3.1+portforward.k8s.io',
      };
      const request = httpsRequest({ ...tls(), path: '/portForward/ns/p', headers, agent: false });
      request.end();
      const [response, socket, head] = (await once(request, 'upgrade')) as [{ headers: object }, Socket, Buffer];
      expect(response.headers).toMatchObject({ 'sec-websocket-protocol': 'SPDY/3.1+portforward.k8s.io' });
      let pending = head;
      const stream = new Duplex({
        read: () => {},
        write: (data: Buffer, _encoding, done) =>
          socket.write(Buffer.concat([clientFrameHeader(data.length), data]), () => done()),
        destroy: (error, done) => {
          socket.destroy();
          done(error);
        },
      });
      socket.on('data', (chunk: Buffer) => {
        pending = Buffer.concat([pending, chunk]);
        for (let frame = firstFrame(pending); frame; frame = firstFrame(pending)) {
          stream.push(frame.data);
          pending = frame.rest;
        }
      });
      return stream;
    }

    /** One forwarded connection to a server that echoes. */
    async function roundTrip(spdy: SpdyConnection, received: Buffer[], sent: Buffer, wait: () => Promise<unknown>) {
      const headers = { port: String((echo.address() as AddressInfo).port), requestid: '0' };
      spdy.end(spdy.open({ ...headers, streamtype: 'error' }));
      const data = spdy.open({ ...headers, streamtype: 'data' });
      spdy.send(data, sent);
      while (received.reduce((sum, part) => sum + part.length, 0) < sent.length) await wait();
      expect(digest(Buffer.concat(received))).toBe(digest(sent));
    }

    it('carries 20 MB each way over SPDY', async () => {
      const received: Buffer[] = [];
      let wake = (): void => {};
      const { spdy, socket } = await overSpdy('/portForward/ns/p', 'portforward.k8s.io', (_stream, data) => {
        received.push(Buffer.from(data));
        wake();
      });
      await roundTrip(spdy, received, randomBytes(MEGABYTES), () => new Promise<void>((resolve) => (wake = resolve)));
      socket.destroy();
    });

    it('carries 20 MB each way through a WebSocket', async () => {
      const socket = await tunnel();
      const received: Buffer[] = [];
      let wake = (): void => {};
      const data = (_stream: number, chunk: Buffer): void => {
        received.push(Buffer.from(chunk));
        wake();
      };
      const spdy = new SpdyConnection(socket, Buffer.alloc(0), { data, close: () => {} });
      await roundTrip(spdy, received, randomBytes(MEGABYTES), () => new Promise<void>((resolve) => (wake = resolve)));
      socket.destroy();
      await untilNoConnections();
    });
  });

  it('logs: follows a container until it ends', async () => {
    await start('prints', ['sh', '-c', 'for i in 1 2 3; do echo $i; sleep 0.2; done; echo last']);
    const request = httpsRequest({ ...tls(), path: '/containerLogs/ns/p/prints?follow=true', agent: false });
    request.end();
    const [response] = (await once(request, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }];
    let text = '';
    for await (const chunk of response) {
      text += chunk.toString();
      // The exit is known to us before the last output is written.
      if (text.includes('3')) containers.set('prints', { ...containers.get('prints')!, state: 'exited' });
    }
    expect([response.statusCode, text]).toEqual([200, '1\n2\n3\nlast\n']);
  });
});

/** TCP connections of this process, either end. */
function openConnections(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'TCPSocketWrap').length;
}

async function untilNoConnections(): Promise<void> {
  for (let i = 0; i < 100 && openConnections() > 0; i++) await clock.sleep(20);
  expect(openConnections()).toBe(0);
}

/** A binary WebSocket frame of a client, masked with zeros. */
function clientFrameHeader(length: number): Buffer {
  const header = Buffer.alloc(14);
  header[0] = 0x82;
  header[1] = 0x80 | 127;
  header.writeBigUInt64BE(BigInt(length), 2);
  return header;
}

/** The first whole frame of a server. */
function firstFrame(bytes: Buffer): { data: Buffer; rest: Buffer } | undefined {
  if (bytes.length < 10) return undefined;
  const short = bytes[1]!;
  const [start, length] =
    short < 126 ? [2, short] : short === 126 ? [4, bytes.readUInt16BE(2)] : [10, Number(bytes.readBigUInt64BE(2))];
  if (bytes.length < start + length) return undefined;
  return { data: bytes.subarray(start, start + length), rest: bytes.subarray(start + length) };
}
