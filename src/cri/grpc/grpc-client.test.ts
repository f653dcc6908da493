import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FakeClock } from '../../lib/fake-clock.ts';
import { VersionRequest, VersionResponse } from '../generated/cri.ts';
import { encodeFrame, type Rpc } from './codec.ts';
import { GrpcClient } from './grpc-client.ts';

const RPC: Rpc<VersionRequest, VersionResponse> = {
  path: '/test.Service/Version',
  request: VersionRequest,
  response: VersionResponse,
};
const ask = { version: 'v1' };
const answer = (runtimeName: string): Buffer =>
  encodeFrame(VersionResponse, VersionResponse.fromPartial({ runtimeName }));

type Handler = (stream: ServerHttp2Stream, headers: Record<string, string>) => void;

/** A gRPC server on a Unix socket whose every call is answered by `handle`. */
class Server {
  readonly socketPath: string;
  handle: Handler = (stream) => reply(stream, ['name']);
  private readonly dir = mkdtempSync(join(tmpdir(), 'grpc-'));
  private readonly sessions = new Set<ServerHttp2Session>();
  private http: Http2Server | undefined;
  connections = 0;

  constructor() {
    this.socketPath = join(this.dir, 's');
  }

  async listen(): Promise<void> {
    const http = createServer();
    http.on('session', (session) => {
      this.connections++;
      this.sessions.add(session);
      session.on('error', () => {});
    });
    http.on('stream', (stream, headers) => {
      stream.on('error', () => {});
      stream.resume();
      this.handle(stream, headers as Record<string, string>);
    });
    this.http = http;
    await new Promise<void>((resolve) => http.listen(this.socketPath, resolve));
  }

  /** As when its process dies. */
  async die(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    this.sessions.clear();
    await new Promise((resolve) => this.http?.close(resolve) ?? resolve(undefined));
    this.http = undefined;
  }

  remove(): void {
    rmSync(this.dir, { recursive: true });
  }
}

function reply(stream: ServerHttp2Stream, names: string[], status = '0', message?: string): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () =>
    stream.sendTrailers({ 'grpc-status': status, ...(message !== undefined && { 'grpc-message': message }) }),
  );
  for (const name of names) stream.write(answer(name));
  stream.end();
}

let server: Server;
let client: GrpcClient;
let clock: FakeClock;
beforeEach(async () => {
  server = new Server();
  await server.listen();
  clock = new FakeClock();
  client = new GrpcClient({ socketPath: server.socketPath, clock });
});
afterEach(async () => {
  client.close();
  await server.die();
  server.remove();
});

it('calls and decodes the answer, over one connection', async () => {
  let seen: Record<string, string> = {};
  server.handle = (stream, headers) => {
    seen = headers;
    reply(stream, ['containerd']);
  };
  const options = { timeoutMs: 1500, metadata: { 'containerd-namespace': 'k8s.io' } };
  expect(await client.unary(RPC, ask, options)).toMatchObject({ runtimeName: 'containerd' });
  expect(seen).toMatchObject({
    ':method': 'POST',
    ':path': '/test.Service/Version',
    'content-type': 'application/grpc',
    te: 'trailers',
    'grpc-timeout': '1500m',
    'containerd-namespace': 'k8s.io',
  });
  await Promise.all(Array.from({ length: 20 }, () => client.unary(RPC, ask)));
  expect(server.connections).toBe(1);
  expect(clock.pendingTimers).toBe(0);
});

it('takes an answer larger than any window', async () => {
  const name = 'x'.repeat(30 << 20);
  server.handle = (stream) => reply(stream, [name]);
  expect((await client.unary(RPC, ask)).runtimeName.length).toBe(name.length);
});

it('fails with the code and the words of the server', async () => {
  server.handle = (stream) => reply(stream, [], '5', 'container %22a%22: not found');
  await expect(client.unary(RPC, ask)).rejects.toMatchObject({
    name: 'CriError',
    code: 'NOT_FOUND',
    method: 'Version',
    message: 'container "a": not found',
  });
  // A status without a body comes in the headers.
  server.handle = (stream) => {
    stream.respond({ ':status': 200, 'grpc-status': '12', 'grpc-message': 'unknown service' }, { endStream: true });
  };
  await expect(client.unary(RPC, ask)).rejects.toMatchObject({ code: 'UNIMPLEMENTED', message: 'unknown service' });
});

it('says what is wrong when the answer is no gRPC', async () => {
  server.handle = (stream) => {
    stream.respond({ ':status': 404 });
    stream.end('not found');
  };
  await expect(client.unary(RPC, ask)).rejects.toMatchObject({
    code: 'INTERNAL',
    message: expect.stringMatching(/compressed|HTTP status 404/),
  });
  server.handle = (stream) => stream.close(7);
  await expect(client.unary(RPC, ask)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  server.handle = (stream) => reply(stream, []);
  await expect(client.unary(RPC, ask)).rejects.toMatchObject({
    code: 'INTERNAL',
    message: expect.stringMatching(/no message/),
  });
});

it('gives up after the time-out and tells the server', async () => {
  let arrived = (): void => {};
  const inFlight = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const closed = new Promise<number>((resolve) => {
    server.handle = (stream) => {
      stream.on('close', () => resolve(stream.rstCode));
      arrived();
    };
  });
  const call = client.unary(RPC, ask, { timeoutMs: 2000 });
  call.catch(() => {});
  await inFlight;
  await clock.advance(1999);
  expect(await Promise.race([call.catch(() => 'failed'), 'waits'])).toBe('waits');
  await clock.advance(1);
  await expect(call).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED', retriable: true });
  expect(await closed).toBe(8);
});

it('cancels with an AbortError', async () => {
  await expect(client.unary(RPC, ask, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  const abort = new AbortController();
  const closed = new Promise<number>((resolve) => {
    server.handle = (stream) => {
      stream.on('close', () => resolve(stream.rstCode));
      abort.abort();
    };
  });
  const call = client.unary(RPC, ask, { signal: abort.signal, timeoutMs: 1000 });
  await expect(call).rejects.toMatchObject({ name: 'AbortError' });
  expect(await closed).toBe(8);
  expect(clock.pendingTimers).toBe(0);
});

it('fails at once while nobody listens, and works again as soon as somebody does', async () => {
  await client.unary(RPC, ask);
  let arrived = (): void => {};
  const inFlight = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  server.handle = () => arrived();
  const call = client.unary(RPC, ask);
  call.catch(() => {});
  await inFlight;
  await server.die();
  await expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE', retriable: true });
  await expect(client.unary(RPC, ask)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(/ENOENT|ECONNREFUSED/),
  });
  server.handle = (stream) => reply(stream, ['again']);
  await server.listen();
  expect(await client.unary(RPC, ask)).toMatchObject({ runtimeName: 'again' });
});

it('fails once it is closed', async () => {
  server.handle = () => client.close();
  await expect(client.unary(RPC, ask)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(client.unary(RPC, ask)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringMatching(/was closed/),
  });
});

it('reads a stream to its end, and tells how it ended', async () => {
  const read = async (): Promise<string[]> => {
    const names: string[] = [];
    for await (const { runtimeName } of client.serverStream(RPC, ask)) names.push(runtimeName);
    return names;
  };
  server.handle = (stream) => reply(stream, ['a', 'b', 'c']);
  expect(await read()).toEqual(['a', 'b', 'c']);
  server.handle = (stream) => reply(stream, ['a'], '12', 'no such method');
  await expect(read()).rejects.toMatchObject({ code: 'UNIMPLEMENTED', message: 'no such method' });
  server.handle = (stream) => {
    stream.respond({ ':status': 200 });
    stream.write(answer('a'), () => void server.die());
  };
  await expect(read()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

it('cancels a stream when it is left, and when the signal aborts', async () => {
  const closed: number[] = [];
  let onClosed = (): void => {};
  server.handle = (stream) => {
    stream.respond({ ':status': 200 });
    stream.write(answer('a'));
    stream.on('close', () => {
      closed.push(stream.rstCode);
      onClosed();
    });
  };
  const nextClosed = () =>
    new Promise<void>((resolve) => {
      onClosed = resolve;
    });
  let gone = nextClosed();
  for await (const { runtimeName } of client.serverStream(RPC, ask)) {
    expect(runtimeName).toBe('a');
    break;
  }
  await gone;
  gone = nextClosed();
  const abort = new AbortController();
  const reading = (async () => {
    for await (const _ of client.serverStream(RPC, ask, { signal: abort.signal })) abort.abort();
  })();
  await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
  await gone;
  expect(closed).toEqual([8, 8]);
});

it('a connection that lingers is like any other', async () => {
  const lingering = new GrpcClient({ socketPath: server.socketPath, clock: new FakeClock(), lingers: true });
  try {
    for (let i = 0; i < 3; i++) expect(await lingering.unary(RPC, ask)).toMatchObject({ runtimeName: 'name' });
    expect(server.connections).toBe(1);
  } finally {
    lingering.close();
  }
});

/** A process that makes a call over a connection that lingers, and ends it properly when its standard input ends. */
const CALLER = `
import { SystemClock } from ${JSON.stringify(new URL('../../lib/clock.ts', import.meta.url).href)};
import { VersionRequest as request, VersionResponse as response } from ${JSON.stringify(new URL('../generated/cri.ts', import.meta.url).href)};
import { GrpcClient } from ${JSON.stringify(new URL('grpc-client.ts', import.meta.url).href)};
const client = new GrpcClient({ socketPath: process.argv[1], clock: new SystemClock(), lingers: true });
client.unary({ path: ${JSON.stringify(RPC.path)}, request, response }, { version: 'v1' }).catch(() => {});
process.stdin.on('end', () => client.close()).resume();
`;

it.each([
  ['killed', 1000, 10_000],
  ['at its end', 0, 1000],
])('when the caller is %s its call that lingers is given up after a while, or at once', async (how, from, to) => {
  const called = Promise.withResolvers<ServerHttp2Stream>();
  server.handle = (stream) => called.resolve(stream);
  const caller = spawn(process.execPath, ['--input-type=module', '--eval', CALLER, server.socketPath], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const stream = await called.promise;
  const closed = new Promise((resolve) => stream.once('close', resolve));
  // Its shell has been started by then: that comes before the first call is sent.
  const at = performance.now();
  if (how === 'killed') caller.kill('SIGKILL');
  else caller.stdin.end();
  await closed;
  const ms = performance.now() - at;
  expect(ms).toBeGreaterThanOrEqual(from);
  expect(ms).toBeLessThan(to);
});
