import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { dnsAnswer } from './dns-answer.ts';
import { runCommand } from './images/run-command.ts';

/** What pods find of the outside world where there is none: an address of this host that answers DNS and HTTP. */
export interface World {
  /** For `nameserver` in a resolv.conf. */
  readonly address: string;
  close(): Promise<void>;
}

const PAGE = `<html><head></head><body><header>
<title>http://info.cern.ch</title>
</header>
<h1>http://info.cern.ch - home of the first website</h1>
<p>A stand-in for it: this machine has no way to the real one.</p>
</body></html>
`;

/**
 * Resolves info.cern.ch and serves a page for it, on an address of its own on the loopback interface: pods reach any address of
 * the host through their gateway, but nothing outside this host reaches this one. Needs root.
 */
export async function startWorld(): Promise<World> {
  await removeAbandonedAddresses();
  const address = await addAddress();
  const hosts = new Map([['info.cern.ch', address]]);
  const dns = createSocket('udp4');
  const web = createServer((request, response) => {
    const found = request.headers.host?.replace(/:80$/, '') === 'info.cern.ch';
    response.writeHead(found ? 200 : 404, { 'content-type': 'text/html' }).end(found ? PAGE : '');
  });
  const close = async (): Promise<void> => {
    dns.close();
    web.close();
    web.closeAllConnections();
    await removeAddress(address);
  };
  dns.on('message', (query, from) => {
    const answer = dnsAnswer(query, hosts);
    if (answer) dns.send(answer, from.port, from.address);
  });
  try {
    dns.bind(53, address);
    web.listen(80, address);
    await Promise.all([once(dns, 'listening'), once(web, 'listening')]);
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
  return { address, close };
}

/** Marks an address as ours and says whose: `lo:ks` and the process id, within the kernel's 15 characters. */
const LABEL_PREFIX = 'lo:ks';

/** Takes a free address of 198.18.0.0/15, which RFC 2544 sets aside for testing. */
async function addAddress(): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const random = () => 1 + Math.floor(Math.random() * 254);
    const address = `198.18.${random()}.${random()}`;
    try {
      await runCommand('ip', [
        'address',
        'add',
        `${address}/32`,
        'dev',
        'lo',
        'label',
        `${LABEL_PREFIX}${process.pid}`,
      ]);
      return address;
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function removeAddress(address: string): Promise<void> {
  await runCommand('ip', ['address', 'del', `${address}/32`, 'dev', 'lo']);
}

/** Addresses of processes that were killed before they could clean up. */
async function removeAbandonedAddresses(): Promise<void> {
  const list = await runCommand('ip', ['-o', '-4', 'address', 'show', 'dev', 'lo']);
  for (const [, address, pid] of list.matchAll(/inet (\S+)\/32 .*\slo:ks(\d+)\b/g)) {
    if (!existsSync(`/proc/${pid}`)) await removeAddress(address!).catch(() => {});
  }
}
