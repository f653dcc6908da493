import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { ApiStatusError } from '../api/status-error.ts';
import { UserError } from '../lib/errors.ts';
import { openSocket, sendRequest } from './api-transport.ts';
import { linesOf } from './response-body.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function listen(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a request carries headers and token; its body comes in lines, whatever the chunks', async () => {
  let seen: unknown;
  const url = await listen((request, response) => {
    seen = [request.url, request.headers.authorization, request.headers.accept];
    response.write('one\ntw');
    response.write(Buffer.from('o ü').subarray(0, 3));
    response.end(Buffer.concat([Buffer.from('o ü').subarray(3), Buffer.from('\nlast')]));
  });
  const { body } = await sendRequest(
    { server: url, token: 't' },
    { path: '/x?y=1', headers: { Accept: 'text/plain' } },
  );
  const lines: string[] = [];
  for await (const line of linesOf(body)) lines.push(line);
  expect(seen).toEqual(['/x?y=1', 'Bearer t', 'text/plain']);
  expect(lines).toEqual(['one', 'two ü', 'last']);
});

test('a Status becomes ApiStatusError; other words are kept', async () => {
  const url = await listen((request, response) => {
    response.statusCode = request.url === '/status' ? 404 : 502;
    response.end(
      request.url === '/status'
        ? '{"kind":"Status","reason":"NotFound","message":"pods \\"x\\" not found","code":404}'
        : 'bad gateway',
    );
  });
  await expect(sendRequest({ server: url }, { path: '/status' })).rejects.toMatchObject({
    reason: 'NotFound',
    code: 404,
  });
  const error = await sendRequest({ server: url }, { path: '/other' }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ApiStatusError);
  expect(error).toMatchObject({ code: 502, message: 'bad gateway' });
});

test('nobody listening is said plainly', async () => {
  const url = await listen(() => {});
  await new Promise((resolve) => server!.close(resolve));
  const error = await sendRequest({ server: url }, { path: '/' }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toBe(`the API server at ${url} cannot be reached: nobody listens there`);
});

test('an aborted request rejects with AbortError', async () => {
  const url = await listen(() => {});
  const stop = new AbortController();
  const request = sendRequest({ server: url }, { path: '/', signal: stop.signal });
  stop.abort();
  await expect(request).rejects.toMatchObject({ name: 'AbortError' });
});

test('a WebSocket: protocol, messages in order both ways, and its end', async () => {
  const url = await listen(() => {});
  const sockets = new WebSocketServer({ server: server!, handleProtocols: () => 'v4' });
  sockets.on('connection', (socket) => {
    for (let i = 0; i < 200; i++) socket.send(Buffer.from([1, i]));
    socket.on('message', (data: Buffer) => {
      socket.send(data);
      socket.close();
    });
  });
  const socket = await openSocket({ server: url }, '/exec', ['v5', 'v4']);
  expect(socket.protocol).toBe('v4');
  socket.send(Uint8Array.of(9, 9));
  const got: number[] = [];
  for await (const message of socket.messages) got.push(message[1]!);
  expect(got).toEqual([...Array.from({ length: 200 }, (_, i) => i), 9]);
});

test('a refused upgrade is the server’s Status', async () => {
  const url = await listen(() => {});
  server!.on('upgrade', (_request, socket) => {
    const body = '{"kind":"Status","reason":"NotFound","message":"pods \\"x\\" not found","code":404}';
    socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  });
  await expect(openSocket({ server: url }, '/exec', ['v5'])).rejects.toMatchObject({ reason: 'NotFound' });
});
