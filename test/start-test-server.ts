import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, startApiServer } from '../src/apiserver/api-server.ts';
import { FakeClock } from '../src/lib/fake-clock.ts';
import { silentLogger } from '../src/lib/logger.ts';
import { SeededRandom } from '../src/lib/random.ts';

export interface Answer {
  readonly code: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

export interface Question {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string is sent as it is, anything else as JSON. */
  readonly body?: unknown;
  /** Without the administrator's certificate. */
  readonly anonymous?: boolean;
}

/** An API server for one test file, in memory, on a clock that stands still. */
export interface TestServer extends ApiServer {
  readonly clock: FakeClock;
  ask(path: string, question?: Question): Promise<Answer>;
}

/** For tests only. */
export async function startTestServer(now?: number): Promise<TestServer> {
  const dir = mkdtempSync(join(tmpdir(), 'kubelette-api-'));
  const clock = new FakeClock(now);
  const server = await startApiServer({
    database: ':memory:',
    pkiDir: join(dir, 'pki'),
    port: 0,
    kubeletHost: '127.0.0.1',
    clock,
    random: new SeededRandom(1),
    logger: silentLogger,
  });
  const ask = (path: string, question: Question = {}): Promise<Answer> => {
    const { method = 'GET', headers = {}, body, anonymous } = question;
    const { cert, key, ca } = server.admin;
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          host: '127.0.0.1',
          port: server.port,
          path,
          method,
          ca,
          agent: false,
          headers: {
            ...(text === undefined
              ? {}
              : { 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(text)) }),
            ...headers,
          },
          ...(anonymous ? {} : { cert, key }),
        },
        (answer) => {
          const chunks: Buffer[] = [];
          answer.on('data', (chunk: Buffer) => chunks.push(chunk));
          answer.on('end', () =>
            resolve({
              code: answer.statusCode!,
              headers: answer.headers,
              text: Buffer.concat(chunks).toString('utf8'),
            }),
          );
        },
      );
      asked.on('error', reject);
      asked.end(text);
    });
  };
  return {
    ...server,
    clock,
    ask,
    close: async () => {
      await server.close();
      rmSync(dir, { recursive: true });
    },
  };
}
