import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface RegistryProcess {
  /** Such as `http://127.0.0.1:41234`. */
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Starts Debian's docker-registry on a free loopback port; it dies with us. Several may serve one `storage` at once when `readOnly`.
 * @param work an existing directory for its configuration
 */
export async function startRegistry(
  program: string,
  storage: string,
  work: string,
  readOnly: boolean,
): Promise<RegistryProcess> {
  const config = join(work, 'registry.json');
  await writeFile(
    config, // YAML, of which JSON is a part
    JSON.stringify({
      version: '0.1',
      log: { level: 'info', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: storage }, maintenance: { readonly: { enabled: readOnly } } },
      http: { addr: '127.0.0.1:0' },
    }),
  );
  // setpriv: the kernel ends the registry with this process, whatever this process dies of.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, 'serve', config], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    url: `http://127.0.0.1:${await portOf(child)}`,
    stop: async () => {
      child.kill('SIGKILL'); // it only reads, or has finished writing
      await exited;
    },
  };
}

/** Waits until the registry logs on which port it listens. */
function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let log = '';
    child.on('error', reject);
    child.on('close', () => reject(new Error(`docker-registry did not start: ${log.slice(-2000)}`)));
    for (const stream of [child.stdout!, child.stderr!]) {
      createInterface(stream).on('line', (line) => {
        log = `${log}${line}\n`.slice(-10_000);
        const port = /listening on [^" ]*:(\d+)/.exec(line)?.[1];
        if (port) resolve(Number(port));
      });
    }
  });
}
