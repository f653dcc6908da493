import { type Command, Option } from 'commander';
import type { CliContext } from '../context.ts';
import { serverOptions } from '../server-options.ts';

interface SimulateOptions {
  readonly fail?: readonly string[];
  readonly slowStart?: readonly string[];
  readonly initFails?: readonly string[];
  readonly killAgent?: readonly string[];
  readonly for?: string;
  readonly scenario?: readonly string[];
  readonly output: 'text' | 'json' | 'svg';
  readonly svg?: string;
}

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];

export function registerSimulate(program: Command, context: CliContext): void {
  program
    .command('simulate')
    .summary('show what the pods of a file will do, and when, without running them')
    .description(
      'Show what will happen to the pods of a file, and when: images, init containers, probes, Ready, restarts, back-off, what ' +
        'clients see, how long a deletion takes; and warn of probes that will hurt. It runs the node itself on virtual time: ' +
        'hours take seconds, and neither root nor containerd nor Linux is needed. What the containers do it cannot know: say it ' +
        'with the options below. Else init containers take as long as their command sleeps, or 1 s, and succeed; containers run, ' +
        'answer their probes and end at SIGTERM; images are pulled in 0.8 s.',
    )
    .argument('<file...>', 'YAML or JSON; - for standard input')
    .option('-n, --namespace <name>', 'namespace for objects that name none (default: default)')
    .option('--for <time>', 'how far to look ahead (default: until what is asked for has had its consequences)')
    .addOption(new Option('-o, --output <format>', 'how to show it').choices(['text', 'json', 'svg']).default('text'))
    .option('--svg <file>', 'also draw the picture into this file')
    .optionsGroup('What if:')
    .option(
      '--fail <container.probe@time>',
      'from then on it fails, until a restart; also @20s-30s, and =hang, =refused; CONTAINER@TIME: every probe',
      collect,
    )
    .option('--slow-start <time>', 'nobody listens for so long after each start; CONTAINER:TIME for one alone', collect)
    .option('--init-fails <container:times>', 'the init container fails so often before it succeeds', collect)
    .addOption(
      new Option(
        '--kill-agent <time>',
        'kill -9 of kubelette itself, back a second later; also --kill-agent@TIME',
      ).argParser(collect),
    )
    .option('--scenario <file>', 'all of this and more from a YAML file (examples/simulate.md)', collect)
    // For `--kill-agent@30s`; the others are refused below.
    .allowUnknownOption()
    .addHelpText(
      'after',
      '\nExamples:\n' +
        '  kubelette simulate webapl.yaml\n' +
        '  kubelette simulate webapl.yaml --fail webapl.liveness@40s --svg webapl.svg\n' +
        '  kubelette simulate init-demo.yaml --init-fails install:2 --for 5m\n' +
        '  kubelette simulate webapl.yaml --scenario webapl.scenario.yaml -o json\n',
    )
    .action(async (files: string[], options: SimulateOptions, command: Command) => {
      const { runSimulate } = await import('../simulate/run-simulate.ts');
      const { namespace } = serverOptions(command, context);
      await runSimulate(context, files, { ...options, namespace });
    });
}
