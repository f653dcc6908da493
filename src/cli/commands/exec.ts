import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

interface ExecOptions {
  container?: string;
  stdin?: boolean;
  tty?: boolean;
}

export function registerExec(program: Command, context: CliContext): void {
  program.enablePositionalOptions();
  addServerOptions(
    program
      .command('exec')
      .summary('run a command in a container')
      .description("Run a command in a running container. Ends with the command's exit code.")
      .argument('<pod>', 'name of the pod')
      .argument('<command...>', 'the command and its arguments; -- before it is optional')
      .option('-i, --stdin', 'pass standard input on')
      .option('-t, --tty', 'give the command a terminal')
      .option('-c, --container <name>', 'container (default: the first)')
      .passThroughOptions(),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  kubelette exec -it init-demo -- /bin/bash\n  kubelette exec init-demo cat /usr/share/nginx/html/index.html\n',
    )
    .action(async (name: string, rest: string[], _options: ExecOptions, command: Command) => {
      const argv = afterPod(command, rest);
      const options = command.opts<ExecOptions>();
      const server = serverOptions(command, context);
      const { PODS, pathOf } = await import('../../api/resources.ts');
      const { podContainer } = await import('../pod-container.ts');
      const { EXEC_PROTOCOLS, runExecSession } = await import('../exec-session.ts');
      const pod = name.replace(/^pods?\//, '');
      const container = podContainer(
        await (await context.client(server)).get(PODS, { name: pod, namespace: server.namespace }),
        options.container,
        context.stderr,
      );
      const { stdin } = context;
      const tty = options.tty === true && (!options.stdin || stdin.isTTY === true);
      if (options.tty && !tty) context.stderr.write('No terminal for the command: standard input is not one.\n');

      const query = new URLSearchParams({ container, stdout: 'true', stdin: String(options.stdin === true) });
      query.set('stderr', String(!tty));
      query.set('tty', String(tty));
      for (const word of argv) query.append('command', word);
      const path = `${pathOf(PODS, server.namespace, pod, 'exec')}?${query}`;
      const socket = await context.webSocket(server, path, EXEC_PROTOCOLS);
      const raw = tty && options.stdin === true;
      if (raw) stdin.setRawMode?.(true);
      try {
        context.exitCode = await runExecSession(socket, {
          stdin: options.stdin ? stdin : undefined,
          stdout: context.stdout,
          stderr: context.stderr,
          terminal: tty
            ? {
                size: () => ({ columns: context.stdout.columns ?? 80, rows: context.stdout.rows ?? 24 }),
                onResize: (listener) => context.onSignal('SIGWINCH', listener),
              }
            : undefined,
        });
      } finally {
        if (raw) stdin.setRawMode?.(false);
      }
      if (context.exitCode !== 0) context.stderr.write(`command terminated with exit code ${context.exitCode}\n`);
    });
}

/**
 * What follows the pod's name: options of ours up to the first word or `--` (`exec POD -it -- bash` is as good as
 * `exec -it POD bash`), then the command, whose own options are none of our business.
 */
function afterPod(command: Command, rest: string[]): string[] {
  const { operands, unknown } = command.parseOptions(rest);
  const flag = unknown[0];
  if (flag?.startsWith('-') && flag !== '--') command.error(`error: unknown option '${flag}'`);
  if (operands.length === 0) command.error("error: missing required argument 'command'");
  return operands;
}
