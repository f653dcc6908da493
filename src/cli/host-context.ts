import type { KubeClient } from '../client/kube-client.ts';
import type { KubeconfigContext } from '../client/kubeconfig.ts';
import { SystemClock } from '../lib/clock.ts';
import { errnoOf, UserError } from '../lib/errors.ts';
import { DEFAULT_ROOT_DIR } from '../lib/instance.ts';
import { SystemRandom } from '../lib/random.ts';
import type { CliContext, ServerOptions } from './context.ts';
import { watchOutput } from './lost-output.ts';

/** The context of this very process: its streams, clock, environment and signals, and servers over the network. */
export function hostContext(): CliContext {
  const endpoints = new Map<string, Promise<KubeconfigContext>>();
  const endpointOf = (server: ServerOptions): Promise<KubeconfigContext> => {
    const known = endpoints.get(server.kubeconfig);
    if (known) return known;
    const loading = loadEndpoint(server);
    endpoints.set(server.kubeconfig, loading);
    return loading;
  };
  const isTTY = process.stdout.isTTY === true;
  const onLostOutput = watchOutput(process.stdout, process.stderr, (code) => process.exit(code));
  const clock = new SystemClock();
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    clock,
    random: new SystemRandom(),
    env: process.env,
    cwd: process.cwd(),
    isTTY,
    color: isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
    exitCode: 0,
    client: async (server): Promise<KubeClient> => {
      const { HttpKubeClient } = await import('../client/http-kube-client.ts');
      return new HttpKubeClient(await endpointOf(server));
    },
    request: async (server, request) => {
      const { sendRequest } = await import('./api-transport.ts');
      return await sendRequest(await endpointOf(server), request);
    },
    webSocket: async (server, path, protocols) => {
      const { openSocket } = await import('./api-transport.ts');
      return await openSocket(await endpointOf(server), path, protocols);
    },
    onSignal: (signal, listener) => {
      // The system's own SIGPIPE may mean any connection.
      if (signal === 'SIGPIPE') return onLostOutput(listener);
      process.on(signal, listener);
      return () => process.off(signal, listener);
    },
  };
}

/** Where a command's API server is, and who it is to that. @throws UserError */
export async function loadEndpoint(server: ServerOptions): Promise<KubeconfigContext> {
  const { access, constants } = await import('node:fs/promises');
  await access(server.kubeconfig, constants.R_OK).catch((error: unknown) => {
    if (errnoOf(error) === 'EACCES') {
      throw new UserError(`permission denied: ${server.kubeconfig} is not yours to read`, {
        hint: 'Run the same command with sudo, or name other credentials with --kubeconfig.',
      });
    }
    const root = server.rootDir === DEFAULT_ROOT_DIR ? '' : ` --root-dir ${server.rootDir}`;
    throw new UserError(`no node runs here: there is no ${server.kubeconfig}`, {
      hint: `kubelette up --detach${root}`,
    });
  });
  const { loadKubeconfig } = await import('../client/kubeconfig.ts');
  return await loadKubeconfig(server.kubeconfig);
}
