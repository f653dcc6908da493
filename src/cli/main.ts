#!/usr/bin/env -S node --max-semi-space-size=1 --v8-pool-size=1
import { Command } from 'commander';
import { registerApply } from './commands/apply.ts';
import { registerDelete } from './commands/delete.ts';
import { registerDescribe } from './commands/describe.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerDown } from './commands/down.ts';
import { registerExec } from './commands/exec.ts';
import { registerGet } from './commands/get.ts';
import { registerLogs } from './commands/logs.ts';
import { registerRun } from './commands/run.ts';
import { registerSimulate } from './commands/simulate.ts';
import { registerTrace } from './commands/trace.ts';
import { registerUp } from './commands/up.ts';
import { hostContext } from './host-context.ts';
import { describeError } from './report-error.ts';
import { addServerOptions } from './server-options.ts';

// Set by the build; from sources there is nothing to report.
const version = process.env.KUBELETTE_VERSION ?? 'development';

const context = hostContext();
const program = addServerOptions(new Command('kubelette'))
  .description(
    'Runs Kubernetes Pods on this machine, as a node does: no cluster needed. The real kubectl works with it.',
  )
  .version(version, '-V, --version')
  .enablePositionalOptions()
  .showSuggestionAfterError()
  .addHelpText(
    'after',
    '\nExamples:\n' +
      '  kubelette run pod.yaml          start what is needed, show the pod until it is Ready\n' +
      '  kubelette simulate pod.yaml     what it will do, and when, without running it\n' +
      '  kubelette up --detach           a node in the background; then use kubectl\n' +
      '  kubelette describe pod webapl   why it is not ready\n' +
      '  kubelette trace webapl          where the time went when it started\n' +
      '  kubelette doctor                what this machine lacks, and how to mend it',
  );

program.commandsGroup('Node:');
registerUp(program, context);
registerDown(program, context);
registerDoctor(program, context);
program.commandsGroup('Pods:');
registerRun(program, context);
registerSimulate(program, context);
registerApply(program, context);
registerGet(program, context);
registerDescribe(program, context);
registerTrace(program, context);
registerLogs(program, context);
registerExec(program, context);
registerDelete(program, context);

try {
  await program.parseAsync();
  process.exitCode = context.exitCode;
} catch (error) {
  const { text, exitCode } = describeError(error);
  process.stderr.write(text);
  process.exitCode = exitCode;
}
