import { readFileSync } from 'node:fs';
import { parseResolvConf } from '../../lib/resolv-conf.ts';

/** The host's own, and the one with the real servers that systemd-resolved keeps beside its stub. */
const HOST = '/etc/resolv.conf';
const UPSTREAM = '/run/systemd/resolve/resolv.conf';

/**
 * The file that pods get by dnsPolicy Default when the user names none. A server at 127.0.0.53 answers on the host only, not in a
 * pod's network; then it is the file that names the servers behind it (as kubeadm configures kubelets).
 * @param read for tests
 */
export function defaultResolvConf(read: (path: string) => string = (path) => readFileSync(path, 'utf8')): string {
  const servers = (path: string): string[] => {
    try {
      return parseResolvConf(read(path)).servers;
    } catch {
      return [];
    }
  };
  const isLocal = (server: string): boolean => server.startsWith('127.') || server === '::1';
  const own = servers(HOST);
  const beyondReach = own.length > 0 && own.every(isLocal);
  return beyondReach && servers(UPSTREAM).some((server) => !isLocal(server)) ? UPSTREAM : HOST;
}
