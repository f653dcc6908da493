import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

export function registerDown(program: Command, context: CliContext): void {
  addServerOptions(
    program
      .command('down')
      .summary('stop the node, its pods and its containerd')
      .description(
        'Stops the node with everything that runs on it: pods, containerd, bridge and rules. Objects and images are kept ' +
          'for the next `up`; --purge deletes them too. Works as well when the agent was killed.',
      ),
  )
    .option('--purge', 'delete the root directory as well: objects, images, logs')
    .addHelpText('after', '\nExamples:\n  kubelette down\n  kubelette down --root-dir /tmp/k --purge')
    .action(async (options: { purge?: boolean }, command: Command) => {
      const { runDown } = await import('../run-down.ts');
      await runDown(serverOptions(command, context).rootDir, options.purge === true, context);
    });
}
