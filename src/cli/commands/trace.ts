import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

interface TraceOptions {
  output?: 'json' | 'otlp';
  otlpEndpoint?: string;
}

/** Without a terminal. */
const DEFAULT_WIDTH = 120;

export function registerTrace(program: Command, context: CliContext): void {
  addServerOptions(
    program
      .command('trace')
      .summary('show where the time went when a pod started')
      .description(
        'Show what was done to start a pod, when, and how long it took: from its creation until the API server knew that it is ' +
          'Ready; then the same for its latest restarts. What is kept is gone when the agent or the pod is.',
      )
      .argument('<pod>', 'name of the pod')
      .addOption(
        new Option('-o, --output <format>', 'json, or otlp: what OpenTelemetry collectors take').choices([
          'json',
          'otlp',
        ]),
      )
      .option(
        '--otlp-endpoint <url>',
        'send it to a collector at URL/v1/traces instead, such as http://127.0.0.1:4318',
      ),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  kubelette trace webapl\n  kubelette trace webapl -o json\n' +
        '  kubelette trace webapl --otlp-endpoint http://127.0.0.1:4318\n',
    )
    .action(async (argument: string, options: TraceOptions, command: Command) => {
      const { PODS } = await import('../../api/resources.ts');
      const { podTraceOf } = await import('../pod-facts.ts');
      const server = serverOptions(command, context);
      const name = argument.replace(/^pods?\//, '');
      const client = await context.client(server);
      const pod = await client.get(PODS, { name, namespace: server.namespace });
      const trace = await podTraceOf(context, server, pod);
      const print = (text: string): void => void context.stdout.write(`${text}\n`);
      if (options.otlpEndpoint !== undefined || options.output === 'otlp') {
        const { otlpTrace } = await import('../view/otlp-trace.ts');
        const request = otlpTrace(trace, context.clock.now());
        if (options.otlpEndpoint === undefined) return print(JSON.stringify(request, null, 2));
        const { sendTraces } = await import('../send-traces.ts');
        await sendTraces(options.otlpEndpoint, request, context.clock);
        const spans = trace.sections.reduce((sum, section) => sum + section.spans.length, 0);
        return print(`${spans} spans of pod/${name} sent to ${options.otlpEndpoint}`);
      }
      if (options.output === 'json') return print(JSON.stringify(trace, null, 2));
      const { renderTrace } = await import('../view/render-trace.ts');
      const { styleOf } = await import('../view/style.ts');
      const width = context.stdout.columns ?? DEFAULT_WIDTH;
      print(renderTrace(trace, width, styleOf(context.color)).join('\n'));
    });
}
