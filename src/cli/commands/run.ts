import type { Command } from 'commander';
import { DEFAULT_ROOT_DIR } from '../../lib/instance.ts';
import type { Validate } from '../apply-manifest.ts';
import type { CliContext } from '../context.ts';
import { serverOptions } from '../server-options.ts';
import { validateOption } from './apply.ts';
import { addAgentOptions, agentOptions } from './up.ts';

export function registerRun(program: Command, context: CliContext): void {
  addAgentOptions(
    program
      .command('run')
      .summary('run the pods of a file and watch them become Ready')
      .description(
        'Run the pods of a file: starts a node when none runs, applies the file and shows what each container does and what ' +
          'each probe says. Stays until Ctrl-C, which removes what it made; a pod that finishes ends it with its exit code. ' +
          'With --detach, or when the output is no terminal, it returns once all is Ready and leaves it running.',
      )
      .argument('<file...>', 'YAML or JSON; - for standard input')
      .option('-n, --namespace <name>', 'namespace for objects that name none (default: default)')
      .option('-d, --detach', 'return once all pods are Ready; leave them running')
      .option('--no-detach', 'stay until Ctrl-C even when the output is no terminal')
      .addOption(validateOption()),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  kubelette run webapl.yaml\n  kubelette run --detach init-demo.yaml && kubelette exec -it init-demo bash\n',
    )
    .action(async (files: string[], options: { detach?: boolean; validate: Validate }, command: Command) => {
      const { readManifestFiles } = await import('../manifest.ts');
      const { ensureAgent } = await import('../agent.ts');
      const { runPods } = await import('../run-pods.ts');
      const server = serverOptions(command, context);
      const manifests = await readManifestFiles(context, files, server.namespace);
      const agent = await ensureAgent(context, agentOptions(command, context));
      // Also while the node is being stopped, a terminal that closes must not end the command.
      const offs = (['SIGHUP', 'SIGPIPE'] as const).map((signal) => context.onSignal(signal, () => {}));
      const detach = options.detach ?? !context.isTTY;
      let leave = false;
      try {
        const run = { manifests, validate: options.validate, detach, removeFinished: agent.started };
        leave = (await runPods(context, server, agent.client, run)) === 'ready';
        if (leave && agent.started) {
          const root = server.rootDir === DEFAULT_ROOT_DIR ? '' : ` --root-dir ${server.rootDir}`;
          context.stdout.write(`The node goes on; kubelette down${root} stops it.\n`);
        }
      } finally {
        if (agent.started && !leave) await agent.stop();
        for (const off of offs) off();
      }
    });
}
