import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { servedConnections } from './drain-connections.ts';

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const line = (n: number, local: string, remote: string, state: string): string =>
  `   ${n}: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1101290 1 000000005bf646c8 100 0 0 10 0`;
const table = (...sockets: [local: string, remote: string, state: string][]): string =>
  [HEAD, ...sockets.map((socket, n) => line(n, ...socket))].join('\n');

const WEB = '0200580A:0050';
const CLIENT = '0100580A:9C40';

test.each([
  ['one that is served', '01', 1],
  ['one that is about to be', '03', 1],
  ['one whose last bytes are on their way', '04', 1],
  ['one whose client has said all it had to say', '08', 1],
  ['not one that is over', '06', 0],
])('counts %s', (_, state, count) => {
  expect(servedConnections([table(['00000000:0050', '00000000:0000', '0A'], [WEB, CLIENT, state])])).toBe(count);
});

test('connections that the pod itself has made do not count', () => {
  expect(servedConnections([table(['00000000:0050', '00000000:0000', '0A'], [CLIENT, WEB, '01'])])).toBe(0);
});

test('a server on all addresses of both families has its sockets in the other table', () => {
  const zero = '00000000000000000000000000000000';
  const mapped = (address: string): string => `0000000000000000FFFF0000${address}`;
  const tcp6 = table([`${zero}:0050`, `${zero}:0000`, '0A'], [mapped(WEB), mapped(CLIENT), '01']);
  expect(servedConnections([table(), tcp6])).toBe(1);
});

test('as the kernel writes it', async () => {
  const server = spawn(process.execPath, [
    '-e',
    `require('net').createServer(() => {}).listen(0, '127.0.0.1', function () { console.log(this.address().port) })`,
  ]);
  try {
    const [port] = await once(server.stdout, 'data');
    const hex = Number(port).toString(16).toUpperCase().padStart(4, '0');
    const own = (): string =>
      readFileSync(`/proc/${server.pid}/net/tcp`, 'utf8')
        .split('\n')
        .filter((row) => row.includes(`:${hex} `))
        .join('\n');
    expect(servedConnections([own()])).toBe(0);
    const client = connect(Number(port), '127.0.0.1');
    await once(client, 'connect');
    expect(servedConnections([own()])).toBe(1);
    client.destroy();
  } finally {
    server.kill();
  }
});
