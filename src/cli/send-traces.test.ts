import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { sendTraces } from './send-traces.ts';

let collector: Server;
let url: string;
let taken: string[];
let status: number;
beforeEach(async () => {
  taken = [];
  status = 200;
  collector = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    taken.push(`${request.method} ${request.url} ${request.headers['content-type']} ${body}`);
    response.writeHead(status).end('{"message":"too many"}');
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
  url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
});
afterEach(() => {
  collector.closeAllConnections();
  collector.close();
});

it('posts to /v1/traces, and keeps nothing alive', async () => {
  const clock = new FakeClock();
  await sendTraces(`${url}/`, { resourceSpans: [] }, clock);
  expect(taken).toEqual(['POST /v1/traces application/json {"resourceSpans":[]}']);
  expect(clock.pendingTimers).toBe(0);
});

it('takes every port, also those that fetch blocks', async () => {
  await expect(sendTraces('http://127.0.0.1:1', {}, new FakeClock())).rejects.toThrow(/ECONNREFUSED/);
});

it('gives up after 10 s, also in the middle of an answer', async () => {
  collector.removeAllListeners('request');
  let asked = 0;
  collector.on('request', (_request, response) => {
    asked++;
    response.write('{');
  });
  const clock = new FakeClock();
  const sending = sendTraces(url, {}, clock);
  const outcome = expect(sending).rejects.toThrow('cannot be reached: no answer within 10 s');
  await vi.waitFor(() => expect(asked).toBe(1));
  await clock.advance(10_000);
  await outcome;
});

it('says why the collector did not take it', async () => {
  status = 429;
  await expect(sendTraces(url, {}, new FakeClock())).rejects.toThrow(
    `--otlp-endpoint: ${url}/v1/traces answered HTTP 429: {"message":"too many"}`,
  );
  collector.close();
  collector.closeAllConnections();
  await once(collector, 'close');
  await expect(sendTraces(url, {}, new FakeClock())).rejects.toThrow(/v1\/traces cannot be reached: .*ECONNREFUSED/);
  await expect(sendTraces('localhost:4318', {}, new FakeClock())).rejects.toThrow(
    '--otlp-endpoint: "localhost:4318" is not an http URL',
  );
});
