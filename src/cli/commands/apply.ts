import { type Command, Option } from 'commander';
import type { Validate } from '../apply-manifest.ts';
import type { CliContext } from '../context.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

export function registerApply(program: Command, context: CliContext): void {
  addServerOptions(
    program
      .command('apply')
      .summary('create or change the objects of a file')
      .description('Create the objects of a manifest, or change those that are there already.')
      .requiredOption('-f, --filename <file...>', 'YAML or JSON; - for standard input')
      .addOption(validateOption()),
  )
    .addHelpText('after', '\nExamples:\n  kubelette apply -f webapl.yaml\n  cat pod.yaml | kubelette apply -f -\n')
    .action(async (options: { filename: string[]; validate: Validate }, command: Command) => {
      const server = serverOptions(command, context);
      const { nameOf, readManifestFiles } = await import('../manifest.ts');
      const { applyManifest } = await import('../apply-manifest.ts');
      const { describeError } = await import('../report-error.ts');
      const manifests = await readManifestFiles(context, options.filename, server.namespace);
      const client = await context.client(server);
      for (const manifest of manifests) {
        try {
          const applied = await applyManifest(client, manifest, options.validate, (text) =>
            context.stderr.write(`Warning: ${text}\n`),
          );
          context.stdout.write(`${nameOf({ ...manifest, object: applied.object })} ${applied.outcome}\n`);
        } catch (error) {
          // One bad object does not keep the others from being applied, as with kubectl.
          const { text, exitCode } = describeError(error);
          context.stderr.write(text);
          context.exitCode = exitCode;
        }
      }
    });
}

export function validateOption(): Option {
  return new Option('--validate <how>', 'fields that do not exist are an error, a warning, or left out in silence')
    .choices(['strict', 'warn', 'ignore'])
    .default('strict');
}
