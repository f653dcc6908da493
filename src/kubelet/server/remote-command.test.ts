import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { SystemClock } from '../../lib/clock.ts';
import { bridgeRemoteCommand } from './remote-command.ts';

const clock = new SystemClock();
const STREAMS = { stdin: false, stdout: true, stderr: false, tty: false };

it('closes only when a slow reader has all of the output', async () => {
  const runtime = createServer().listen(0, '127.0.0.1');
  // Its types do not know the time that it leaves a client which it closes.
  const options = { host: '127.0.0.1', port: 0, closeTimeout: 10 };
  const clients = new WebSocketServer(options);
  await Promise.all([once(runtime, 'listening'), once(clients, 'listening')]);
  const socket = connect((runtime.address() as AddressInfo).port, '127.0.0.1');
  const [server] = (await once(runtime, 'connection')) as [Socket];
  clients.once('connection', (client) => {
    const dial = { socket, head: Buffer.alloc(0), protocol: 'v4.channel.k8s.io' };
    bridgeRemoteCommand(client, dial, STREAMS);
  });
  const client = new WebSocket(`ws://127.0.0.1:${(clients.address() as AddressInfo).port}`);
  let received = 0;
  client.on('message', (data: Buffer) => {
    received += data.length - 1;
    client.pause();
    clock.setTimer(1, () => client.resume());
  });
  await once(client, 'open');
  // A data frame of SPDY, of the second stream that was opened: the output.
  const sent = 15 << 20;
  const header = Buffer.from([0, 0, 0, 3, 0, 0, 0, 0]);
  header.writeUIntBE(sent, 5, 3);
  server.write(header);
  server.end(Buffer.alloc(sent));
  const [code] = await once(client, 'close');
  expect([code, received]).toEqual([1000, sent]);
  clients.close();
  runtime.close();
});
