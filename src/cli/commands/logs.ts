import { type Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../../lib/go-duration.ts';
import type { CliContext } from '../context.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

interface LogsOptions {
  container?: string;
  follow?: boolean;
  previous?: boolean;
  tail?: number;
  since?: number;
  timestamps?: boolean;
}

export function registerLogs(program: Command, context: CliContext): void {
  addServerOptions(
    program
      .command('logs')
      .summary("print a container's log")
      .description('Print what a container wrote. Init containers keep their log until the pod is deleted.')
      .argument('<pod>', 'name of the pod')
      .option('-c, --container <name>', 'container or init container (default: the first container)')
      .option('-f, --follow', 'go on as more is written')
      .option('-p, --previous', 'of the instance before the last restart')
      .option('--tail <lines>', 'only the last lines', wholeNumber)
      .option('--since <duration>', 'only what is younger: 30s, 5m, 1h30m', parseSince)
      .option('--timestamps', 'each line with its time'),
  )
    .addHelpText('after', '\nExamples:\n  kubelette logs -f webapl\n  kubelette logs init-demo -c install\n')
    .action(async (name: string, options: LogsOptions, command: Command) => {
      const server = serverOptions(command, context);
      const { PODS, pathOf } = await import('../../api/resources.ts');
      const { podContainer } = await import('../pod-container.ts');
      const pod = name.replace(/^pods?\//, '');
      const container = podContainer(
        await (await context.client(server)).get(PODS, { name: pod, namespace: server.namespace }),
        options.container,
        context.stderr,
      );
      const query = new URLSearchParams({ container });
      if (options.follow) query.set('follow', 'true');
      if (options.previous) query.set('previous', 'true');
      if (options.timestamps) query.set('timestamps', 'true');
      if (options.tail !== undefined) query.set('tailLines', String(options.tail));
      if (options.since !== undefined) query.set('sinceSeconds', String(Math.max(1, Math.ceil(options.since / 1000))));

      const stop = new AbortController();
      const unlisten = context.onSignal('SIGINT', () => stop.abort());
      try {
        const path = `${pathOf(PODS, server.namespace, pod, 'log')}?${query}`;
        const response = await context.request(server, { path, signal: stop.signal });
        for await (const chunk of response.body) {
          if (!context.stdout.write(chunk)) await new Promise((resolve) => context.stdout.once('drain', resolve));
        }
      } catch (error) {
        if (!stop.signal.aborted) throw error;
      } finally {
        unlisten();
      }
    });
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('it must be a whole number, 0 or more.');
  return Number(text);
}

function parseSince(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError('it must be a duration such as 30s, 5m or 1h30m.');
  return ms;
}
