import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { messageOf } from '../lib/errors.ts';
import type { Logger } from '../lib/logger.ts';
import { parseResolvConf } from '../lib/resolv-conf.ts';
import type { Servers } from './forwarder.ts';

/**
 * The servers that a resolv.conf names, read again when the file has changed. A look for each question costs less than a watch that
 * has to follow links and replaced files.
 * @param own our own address, which is left out: we would ask ourselves
 */
export function hostResolvers(file: string, own: string, logger: Logger): Servers {
  let seen = '';
  let servers: readonly string[] = [];
  return async () => {
    try {
      const { ino, mtimeMs, size } = await stat(file);
      const now = `${ino} ${mtimeMs} ${size}`;
      if (now === seen) return servers;
      const named = parseResolvConf(await readFile(file, 'utf8')).servers;
      servers = named.filter((server) => server !== own && isIP(server.split('%', 1)[0]!) !== 0);
      seen = now;
      logger.info({ file, servers }, 'names outside the cluster are asked of these servers');
    } catch (error) {
      // As before; a file that is being replaced may be away for a moment.
      if (seen !== '') logger.warn({ file, error: messageOf(error) }, 'cannot read which servers to ask');
      seen = '';
    }
    return servers;
  };
}
