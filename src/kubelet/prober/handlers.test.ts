import { readFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server as TcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Container, Pod, Probe } from '../../api/generated/types.ts';
import { CertificateAuthority } from '../../apiserver/auth/certificates.ts';
import { CriError } from '../../cri/cri-error.ts';
import type { RuntimeService } from '../../cri/runtime-service.ts';
import { SystemClock } from '../../lib/clock.ts';
import type { Attempt } from './attempt.ts';
import { decodeResponse, encodeRequest } from './grpc-probe.ts';
import { httpGetRequest } from './http-get.ts';
import { networkProber } from './network-prober.ts';
import { joinHostPort, resolvePort } from './probe-target.ts';

const clock = new SystemClock();
const traces = readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8');

/** Whether Kubernetes 1.36 was recorded with these very words, up to the address. */
function recorded(message: string): boolean {
  return traces.includes(JSON.stringify(message.replaceAll('127.0.0.1', 'POD_IP')).slice(1, -1));
}

const open: { close(): void }[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function listen(
  server: Server | TcpServer | ReturnType<typeof createHttp2>,
  host = '127.0.0.1',
): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  open.push({
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as AddressInfo).port;
}

const http = (answer: (req: IncomingMessage, res: ServerResponse) => void): Promise<number> =>
  listen(createHttp(answer));

/** A port on which nothing listens. */
async function freePort(): Promise<number> {
  const server = createTcp();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function attempt(
  probe: Probe,
  options: { runtime?: Partial<RuntimeService>; container?: Partial<Container>; timeoutMs?: number; ip?: string } = {},
): Promise<Attempt> {
  return networkProber(
    clock,
    (options.runtime ?? {}) as RuntimeService,
  )({
    probe,
    pod: { metadata: { name: 'p', namespace: 'ns' }, spec: { containers: [] } } as Pod,
    container: { name: 'app', ...options.container } as Container,
    containerId: 'id',
    podIP: options.ip ?? '127.0.0.1',
    timeoutMs: options.timeoutMs ?? 1000,
    signal: new AbortController().signal,
  });
}

describe('httpGet', () => {
  it.each([
    [200, 'success'],
    [399, 'warning'],
    [199 + 1, 'success'],
    [400, 'failure'],
    [503, 'failure'],
  ])('status %i is %s', async (status, outcome) => {
    const port = await http((_req, res) => res.writeHead(status).end('hello'));
    expect((await attempt({ httpGet: { port } })).outcome).toBe(outcome);
  });

  it('quotes the status in the words of the kubelet', async () => {
    const port = await http((_req, res) => res.writeHead(404).end());
    const { output } = await attempt({ httpGet: { port } });
    expect(output).toBe('HTTP probe failed with statuscode: 404');
    expect(recorded(`Liveness probe failed: ${output}`)).toBe(true);
  });

  it('sends what the kubelet sends, and no more', async () => {
    let seen: IncomingMessage | undefined;
    const port = await http((req, res) => {
      seen = req;
      res.end();
    });
    await attempt({ httpGet: { port, path: '/a/../b?x=1&y=%20 z' } });
    expect(seen!.url).toBe('/a/../b?x=1&y=%20%20z');
    expect(seen!.rawHeaders).toEqual([
      ...['Host', `127.0.0.1:${port}`, 'User-Agent', 'kube-probe/1.36', 'Accept', '*/*', 'Connection', 'close'],
    ]);
  });

  it('takes headers of the user: Host, repeats, and empty values that remove Accept and User-Agent', async () => {
    let seen: IncomingMessage | undefined;
    const port = await http((req, res) => {
      seen = req;
      res.end();
    });
    const headers = (list: Record<string, string>[]) =>
      list.map((h) => ({ name: Object.keys(h)[0]!, value: Object.values(h)[0]! }));
    const httpHeaders = headers([
      { host: 'web.example' },
      { 'X-A': '1' },
      { 'X-A': '2' },
      { accept: '' },
      { 'User-Agent': '' },
    ]);
    await attempt({ httpGet: { port, httpHeaders } });
    expect(seen!.rawHeaders).toEqual(['Host', 'web.example', 'X-A', '1', 'X-A', '2', 'Connection', 'close']);
  });

  it('follows redirects on the same host, at most ten', async () => {
    const port = await http((req, res) => {
      const n = Number(req.url!.slice(1));
      if (n === 0) res.end('there');
      else res.writeHead(302, { location: n % 2 ? `/${n - 1}` : `http://127.0.0.1:${port}/${n - 1}` }).end();
    });
    expect(await attempt({ httpGet: { port, path: '/9' } })).toEqual({ outcome: 'success', output: 'there' });
    expect(await attempt({ httpGet: { port, path: '/10' } })).toMatchObject({
      outcome: 'failure',
      output: 'Get "/0": stopped after 10 redirects',
    });
  });

  it.each(['http://example.invalid/', 'myapp://callback', 'ftp://files.example/x'])(
    'counts a redirect to another host as success with a warning: %s',
    async (location) => {
      const port = await http((_req, res) => res.writeHead(302, { location }).end('moved'));
      expect(await attempt({ httpGet: { port } })).toEqual({
        outcome: 'warning',
        output: 'Probe terminated redirects, Response body: moved',
      });
    },
  );

  it('does not follow a redirect to another scheme of the same host', async () => {
    const port = await http((_req, res) => res.writeHead(302, { location: 'ftp://127.0.0.1/x' }).end());
    expect(await attempt({ httpGet: { port } })).toMatchObject({
      outcome: 'failure',
      output: 'Get "ftp://127.0.0.1/x": unsupported protocol scheme "ftp"',
    });
  });

  it('reads at most 10 KiB of the body and leaves', async () => {
    const port = await http((_req, res) => {
      const more = (): void => {
        if (!res.destroyed && res.write(Buffer.alloc(4096, 'x'))) setImmediate(more);
      };
      res.on('drain', more);
      more();
    });
    const result = await attempt({ httpGet: { port } });
    expect(result.outcome).toBe('success');
    expect(result.output).toHaveLength(10_240);
  });

  it('says that a connection was refused in the words of 1.36', async () => {
    const port = await freePort();
    const { outcome, output, ownTime } = await attempt({ httpGet: { port, path: '/' } });
    expect(output).toBe(`Get "http://127.0.0.1:${port}/": dial tcp 127.0.0.1:${port}: connect: connection refused`);
    expect(recorded(`Readiness probe failed: ${output.replaceAll(String(port), '8080')}`)).toBe(true);
    expect([outcome, ownTime]).toEqual(['failure', false]);
  });

  it('says that no answer came in time in the words of 1.36', async () => {
    const port = await listen(createTcp());
    const { outcome, output, ownTime } = await attempt({ httpGet: { port, path: '/' } }, { timeoutMs: 100 });
    const words = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)';
    expect(output).toBe(`Get "http://127.0.0.1:${port}/": ${words}`);
    expect(recorded(`Readiness probe failed: ${output.replace(String(port), '8080')}`)).toBe(true);
    expect([outcome, ownTime]).toEqual(['failure', true]);
  });

  it('an answer that stalls after its headers is an error of the prober, as upstream has it', async () => {
    const port = await http((_req, res) => void res.write('beginning'));
    expect(await attempt({ httpGet: { port } }, { timeoutMs: 100 })).toMatchObject({
      outcome: 'error',
      output: 'context deadline exceeded (Client.Timeout or context cancellation while reading body)',
    });
  });

  it('says how a connection broke', async () => {
    const closing = await listen(createTcp((socket) => void socket.once('data', () => socket.end())));
    expect((await attempt({ httpGet: { port: closing } })).output).toBe(`Get "http://127.0.0.1:${closing}": EOF`);
    const resetting = await listen(createTcp((socket) => void socket.once('data', () => socket.resetAndDestroy())));
    expect((await attempt({ httpGet: { port: resetting } })).output).toMatch(
      /^Get "http:\/\/127\.0\.0\.1:\d+": read tcp 127\.0\.0\.1:\d+->127\.0\.0\.1:\d+: read: connection reset by peer$/,
    );
    const babbling = await listen(createTcp((socket) => void socket.end('SSH-2.0-OpenSSH\r\n')));
    expect((await attempt({ httpGet: { port: babbling } })).output).toBe(
      `Get "http://127.0.0.1:${babbling}": net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0-OpenSSH"`,
    );
    const halfway = await listen(
      createTcp((socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')),
    );
    expect(await attempt({ httpGet: { port: halfway } })).toEqual({ outcome: 'error', output: 'unexpected EOF' });
  });

  it('sends nothing that a header must not hold', async () => {
    const port = await http((_req, res) => res.end());
    const withHeader = async (name: string, value: string): Promise<Attempt> =>
      attempt({ httpGet: { port, path: '/', httpHeaders: [{ name, value }] } });
    const where = `Get "http://127.0.0.1:${port}/": `;
    expect((await withHeader('X', 'a\r\nY: b')).output).toBe(`${where}net/http: invalid header field value for "X"`);
    expect((await withHeader('X Y', 'a')).output).toBe(`${where}net/http: invalid header field name "X Y"`);
    expect((await withHeader('Host', 'a b')).output).toBe(`${where}http: invalid Host header`);
    expect((await withHeader('X', 'a\tb')).outcome).toBe('success');
  });

  it('does not verify certificates', async () => {
    const port = await listen(
      createHttps(CertificateAuthority.create({ commonName: 'test' }, clock.now()), (_req, res) => res.end('secret')),
    );
    expect(await attempt({ httpGet: { port, scheme: 'HTTPS' } })).toEqual({ outcome: 'success', output: 'secret' });
    const plain = await http((_req, res) => res.end());
    expect((await attempt({ httpGet: { port: plain, scheme: 'HTTPS' } })).output).toContain(
      'http: server gave HTTP response to HTTPS client',
    );
  });

  it('puts an IPv6 address in brackets', () => {
    const request = httpGetRequest({ port: 80, path: 'x' }, { name: 'c' } as Container, 'fd00::1', 'probe');
    expect(request.url).toBe('http://[fd00::1]:80/x');
    expect(request.headers[0]).toEqual(['Host', '[fd00::1]:80']);
  });
});

describe('ports', () => {
  const container = { name: 'c', ports: [{ name: 'web', containerPort: 8080 }] } as Container;
  it('are numbers, names of the container, or digits', () => {
    expect(resolvePort(80, container)).toBe(80);
    expect(resolvePort('web', container)).toBe(8080);
    expect(resolvePort('81', container)).toBe(81);
    expect(() => resolvePort('none', container)).toThrow('strconv.Atoi: parsing "none": invalid syntax');
    expect(() => resolvePort(70000, container)).toThrow('invalid port number: 70000');
  });

  it('that cannot be resolved are an error of the prober', async () => {
    expect((await attempt({ tcpSocket: { port: 'none' } }, { container })).outcome).toBe('error');
  });

  it('are joined to hosts', () => {
    expect(joinHostPort('10.0.0.1', 1)).toBe('10.0.0.1:1');
    expect(joinHostPort('::1', 1)).toBe('[::1]:1');
  });
});

describe('tcpSocket', () => {
  it('succeeds when the port accepts, and resets the connection instead of leaving a TIME_WAIT', async () => {
    const ended = Promise.withResolvers<string>();
    const server = createTcp((socket) => socket.on('error', (e: NodeJS.ErrnoException) => ended.resolve(e.code!)));
    const port = await listen(server);
    expect(await attempt({ tcpSocket: { port } })).toEqual({ outcome: 'success', output: '' });
    expect(await ended.promise).toBe('ECONNRESET');
  });

  it('says why not in the words of 1.36', async () => {
    const port = await freePort();
    const { output } = await attempt({ tcpSocket: { port } });
    expect(output).toBe(`dial tcp 127.0.0.1:${port}: connect: connection refused`);
    expect(recorded(`Startup probe failed: ${output.replace(String(port), '81')}`)).toBe(true);
  });

  it('names a host that does not exist', async () => {
    const host = 'no-such-host.invalid';
    expect((await attempt({ tcpSocket: { port: 1, host } }, { timeoutMs: 5000 })).output).toContain(`lookup ${host}: `);
  });
});

describe('exec', () => {
  const result = (exitCode: number, stdout = '', stderr = '') => ({
    execSync: async () => ({ exitCode, stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) }),
  });

  it('goes by the exit code and shows both outputs', async () => {
    expect(await attempt({ exec: { command: ['x'] } }, { runtime: result(0, 'out', 'err') })).toEqual({
      outcome: 'success',
      output: 'outerr',
    });
    const failed = await attempt({ exec: { command: ['cat'] } }, { runtime: result(1, '', "cat: can't open\n") });
    expect(failed).toEqual({ outcome: 'failure', output: "cat: can't open\n" });
  });

  it('keeps at most 10 KiB of output', async () => {
    const { output } = await attempt({ exec: { command: ['x'] } }, { runtime: result(0, 'x'.repeat(99_999)) });
    expect(output).toHaveLength(10_240);
  });

  it('expands literal env only', async () => {
    let seen: string[] = [];
    const runtime = {
      execSync: async (_id: string, command: string[]) => {
        seen = command;
        return await result(0).execSync();
      },
    };
    const env = [
      { name: 'A', value: '1' },
      { name: 'B', valueFrom: {} },
      { name: 'A', value: '2' },
    ];
    await attempt(
      { exec: { command: ['$(A)', '$(B)', '$$(A)', '$(A', '$A', 'x$(A)y$(C)'] } },
      { runtime, container: { env } },
    );
    expect(seen).toEqual(['2', '$(B)', '$(A)', '$(A', '$A', 'x2y$(C)']);
  });

  it('fails on a time-out, and errs on what the runtime could not do, in the words of 1.36', async () => {
    const failing = (code: 'DEADLINE_EXCEEDED' | 'UNKNOWN', message: string) => ({
      execSync: async () => {
        throw new CriError(code, 'ExecSync', message);
      },
    });
    const late = await attempt({ exec: { command: ['sleep', '5'] } }, { runtime: failing('DEADLINE_EXCEEDED', 'x') });
    expect(late).toEqual({ outcome: 'failure', output: 'command timed out: "sleep 5" timed out after 1s' });
    expect(recorded(`Readiness probe failed: ${late.output}`)).toBe(true);
    const message = 'failed to exec in container: failed to start exec \\"';
    const { outcome, output } = await attempt({ exec: {} }, { runtime: failing('UNKNOWN', message.slice(0, -2)) });
    expect(outcome).toBe('error');
    expect(recorded(`Readiness probe errored and resulted in unknown state: ${output}`)).toBe(true);
  });
});

describe('grpc', () => {
  /** A health server that answers with a serving status, or with a gRPC status. */
  function health(
    answer: { serving?: number; bytes?: number[]; status?: string; message?: string; hang?: boolean },
    seen?: Buffer[],
  ) {
    const server = createHttp2();
    server.on('stream', (stream) => {
      stream.on('data', (chunk: Buffer) => seen?.push(chunk));
      stream.on('error', () => {});
      if (answer.hang) return;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () =>
        stream.sendTrailers({ 'grpc-status': answer.status ?? '0', 'grpc-message': answer.message ?? '' }),
      );
      const bytes = answer.bytes ?? (answer.serving === undefined ? [] : [0, 0, 0, 0, 2, 8, answer.serving]);
      if (bytes.length === 0) stream.end();
      else if (answer.bytes) stream.write(Buffer.from(bytes));
      else stream.end(Buffer.from(bytes));
    });
    return listen(server);
  }

  it('succeeds when the service is SERVING, and asks for the service by name', async () => {
    const seen: Buffer[] = [];
    const port = await health({ serving: 1 }, seen);
    expect(await attempt({ grpc: { port, service: 'db' } })).toEqual({ outcome: 'success', output: 'service healthy' });
    expect(Buffer.concat(seen)).toEqual(Buffer.from([0, 0, 0, 0, 4, 10, 2, 100, 98]));
  });

  it.each([
    [{ serving: 2 }, 'service unhealthy (responded with "NOT_SERVING")'],
    [{}, 'service unhealthy (responded with "UNKNOWN")'],
    [
      { status: '12', message: 'unknown service' },
      'error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service',
    ],
    [{ status: '5', message: 'a%20b' }, 'error: health rpc probe failed: rpc error: code = NotFound desc = a b'],
    [
      { bytes: [0, 1, 0, 0, 0, 8] },
      'error: health rpc probe failed: rpc error: code = ResourceExhausted desc = grpc: received message larger than max (16777216 vs. 4194304)',
    ],
    [
      { bytes: [0, 0, 0, 0, 2, 8, 1, 0, 0, 0, 0, 2, 8, 1] },
      'error: health rpc probe failed: rpc error: code = Internal desc = cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message',
    ],
    [{ hang: true }, 'timeout: health rpc did not complete within 1s'],
  ])('fails otherwise: %j', async (answer, output) => {
    expect(await attempt({ grpc: { port: await health(answer) } })).toMatchObject({ outcome: 'failure', output });
  });

  it('waits for a server until the time is up, and then says so in the words of 1.36', async () => {
    const port = await freePort();
    const { outcome, output } = await attempt({ grpc: { port } });
    expect(outcome).toBe('failure');
    expect(recorded(`Readiness probe failed: ${output.replace(String(port), '5000')}`)).toBe(true);
  });

  it('does not take a server that speaks no HTTP/2 for one', async () => {
    const port = await http((_req, res) => res.end());
    expect((await attempt({ grpc: { port } }, { timeoutMs: 300 })).output).toContain(
      'timeout: failed to connect service',
    );
  });

  it('frames its messages', () => {
    expect(encodeRequest('')).toEqual(Buffer.from([0, 0, 0, 0, 0]));
    expect(encodeRequest('x'.repeat(200)).subarray(4, 8)).toEqual(Buffer.from([203, 10, 200, 1]));
    expect(decodeResponse(Buffer.from([0, 0, 0, 0, 0]))).toBe(0);
  });
});
