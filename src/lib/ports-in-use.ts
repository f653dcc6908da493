import { readFileSync } from 'node:fs';

const TCP_LISTEN = '0A';

/**
 * Ports of this machine that a program waits at, on whatever address. Milliseconds where there are thousands of connections: not for
 * every request. Source: proc(5), /proc/net/tcp
 * @param read reads a file of the system; another one in tests
 */
export function portsInUse(read: (path: string) => string = (path) => readFileSync(path, 'latin1')): Set<number> {
  const ports = new Set<number>();
  for (const table of ['tcp', 'tcp6', 'udp', 'udp6']) {
    let text: string;
    try {
      text = read(`/proc/net/${table}`);
    } catch {
      continue; // a kernel without IPv6
    }
    for (const line of text.split('\n').slice(1)) {
      const [, local = '', , state] = line.trim().split(/\s+/, 4);
      if (table.startsWith('tcp') && state !== TCP_LISTEN) continue;
      const port = Number.parseInt(local.slice(local.indexOf(':') + 1), 16);
      if (port > 0) ports.add(port);
    }
  }
  return ports;
}
