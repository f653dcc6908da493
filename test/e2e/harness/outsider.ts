import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { outputOf, runProcess } from './run-process.ts';

export interface Outsider extends AsyncDisposable {
  /** Answers with the address that the request came from. */
  readonly url: string;
  readonly address: string;
  /** The host's address on the way to it. */
  readonly hostAddress: string;
  /** What it is answered. */
  get(url: string): Promise<string>;
}

let count = 0;

/**
 * Another machine on a network of the host, as far as the kernel can tell: a network namespace behind a veth pair, which knows
 * the host and nothing else. It can answer pods only if they appear under the host's address.
 */
export async function startOutsider(): Promise<Outsider> {
  const n = count++;
  const id = `kt${process.pid}x${n}`;
  const third = 1 + ((process.pid * 2 + n) % 250);
  const [hostAddress, address] = [`198.19.${third}.1`, `198.19.${third}.2`];
  const ip = (...args: string[]) => outputOf('ip', args);
  const remove = (): Promise<unknown> => runProcess('ip', ['netns', 'delete', id]); // the veth pair goes with it
  try {
    await ip('netns', 'add', id);
    await ip('link', 'add', id, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', id);
    await ip('address', 'add', `${hostAddress}/30`, 'dev', id);
    await ip('link', 'set', id, 'up');
    await ip('-n', id, 'address', 'add', `${address}/30`, 'dev', 'eth0');
    await ip('-n', id, 'link', 'set', 'eth0', 'up');
    const server = `require('node:http').createServer((q, r) => r.end(q.socket.remoteAddress)).listen(80, '${address}', () => console.log())`;
    const child = spawn('ip', ['netns', 'exec', id, process.execPath, '-e', server], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout!, 'data');
    return {
      url: `http://${address}/`,
      address,
      hostAddress,
      get: (url) => outputOf('ip', ['netns', 'exec', id, 'curl', '-s', '-S', '-m', '5', url]),
      [Symbol.asyncDispose]: async () => {
        child.kill('SIGKILL');
        await once(child, 'exit');
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
