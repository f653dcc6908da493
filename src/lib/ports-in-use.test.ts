import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { portsInUse } from './ports-in-use.ts';

test('servers count, over TCP and UDP; clients do not', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  const datagrams = createSocket('udp4').bind(0, '127.0.0.1');
  await Promise.all([once(server, 'listening'), once(datagrams, 'listening')]);
  const { port } = server.address() as { port: number };
  const client = connect(port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const found = portsInUse();
  expect(found).toContain(port);
  expect(found).toContain(datagrams.address().port);
  expect(found).not.toContain(client.localPort);
  for (const each of [client, accepted]) each.destroy();
  server.close();
  datagrams.close();
  await once(server, 'close');
  expect(portsInUse()).not.toContain(port);
});

test('a kernel without IPv6 has no such tables', () => {
  const header = '  sl  local_address rem_address   st';
  const listening = '   0: 0100007F:7562 00000000:0000 0A 00000000:00000000 00:00000000';
  const read = (path: string): string => {
    if (path.endsWith('6')) throw new Error('ENOENT');
    return `${header}\n${path.endsWith('tcp') ? listening : ''}\n`;
  };
  expect([...portsInUse(read)]).toEqual([30050]);
});
