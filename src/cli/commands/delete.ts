import { type Command, InvalidArgumentError } from 'commander';
import type { Resource } from '../../api/resources.ts';
import type { CliContext } from '../context.ts';
import { addServerOptions, serverOptions } from '../server-options.ts';

interface DeleteCommandOptions {
  filename?: string[];
  gracePeriod?: number;
  force?: boolean;
  now?: boolean;
  ignoreNotFound?: boolean;
  wait: boolean;
}

export function registerDelete(program: Command, context: CliContext): void {
  addServerOptions(
    program
      .command('delete')
      .summary('delete objects')
      .description('Delete objects by name, or those of a file, and wait until they are gone.')
      .argument('[target...]', 'TYPE NAME... or TYPE/NAME...')
      .option('-f, --filename <file...>', 'delete the objects of this file; - for standard input')
      .option(
        '--grace-period <seconds>',
        'how long containers may take to stop (default: what the pod says)',
        wholeNumber,
      )
      .option('--now', 'one second to stop')
      .option('--force', 'kill at once')
      .option('--ignore-not-found', 'no error when there is no such object')
      .option('--wait [boolean]', 'return only when it is gone', yesOrNo, true)
      .option('--no-wait', 'return at once'),
  )
    .addHelpText('after', '\nExamples:\n  kubelette delete pod webapl\n  kubelette delete -f init-demo.yaml --now\n')
    .action(async (args: string[], options: DeleteCommandOptions, command: Command) => {
      const { UserError } = await import('../../lib/errors.ts');
      const { hasReason } = await import('../../api/status-error.ts');
      const { parseTargets, typeNameOf } = await import('../resource-names.ts');
      const { deleteObject, waitUntilGone } = await import('../delete-object.ts');
      const server = serverOptions(command, context);
      const gracePeriodSeconds = paceOf(options, (message) => new UserError(message));

      const targets: { resource: Resource; name: string; namespace: string | undefined }[] = [];
      if (options.filename) {
        if (args.length > 0) throw new UserError('either names or -f FILE, not both');
        const { readManifestFiles } = await import('../manifest.ts');
        for (const { resource, object, locate } of await readManifestFiles(
          context,
          options.filename,
          server.namespace,
        )) {
          const { name, namespace } = object.metadata;
          if (!name) throw new UserError(`${locate('metadata')}: metadata.name is missing`);
          targets.push({ resource, name, namespace });
        }
      } else {
        if (args.length === 0)
          throw new UserError('nothing to delete', { hint: 'kubelette delete pod NAME, or -f FILE' });
        for (const { resource, name } of parseTargets(args)) {
          if (name === undefined) throw new UserError(`which of the ${resource.plural}?`, { hint: 'name them' });
          targets.push({ resource, name, namespace: resource.namespaced ? server.namespace : undefined });
        }
      }

      const client = await context.client(server);
      const stop = new AbortController();
      const unlisten = context.onSignal('SIGINT', () => stop.abort());
      try {
        const deleted: { resource: Resource; name: string; namespace: string | undefined; uid: string | undefined }[] =
          [];
        for (const target of targets) {
          try {
            const uid = await deleteObject(client, target.resource, target, { gracePeriodSeconds });
            deleted.push({ ...target, uid });
            const how = options.force ? 'force deleted' : 'deleted';
            context.stdout.write(`${typeNameOf(target.resource)} "${target.name}" ${how}\n`);
          } catch (error) {
            if (!hasReason(error, 'NotFound')) throw error;
            if (options.ignoreNotFound) continue;
            const { describeError } = await import('../report-error.ts');
            context.stderr.write(describeError(error).text);
            context.exitCode = 1;
          }
        }
        if (!options.wait) return;
        for (const { resource, uid, ...key } of deleted) {
          await waitUntilGone(client, resource, key, uid, context.clock, stop.signal);
        }
      } finally {
        unlisten();
      }
    });
}

function paceOf(options: DeleteCommandOptions, refuse: (message: string) => Error): number | undefined {
  const { force, now, gracePeriod } = options;
  if (now && gracePeriod !== undefined) throw refuse('--now and --grace-period do not go together');
  if (now && force) throw refuse('--now and --force do not go together');
  if (force && gracePeriod !== undefined && gracePeriod > 0) {
    throw refuse('--force kills at once: it does not go together with a --grace-period above 0');
  }
  if (force) return 0;
  // Without --force, nobody is killed by a 0 that was meant as "quickly"; kubectl does the same.
  return now || gracePeriod === 0 ? 1 : gracePeriod;
}

/** What kubectl's flags take for true and false. Source: strconv.ParseBool */
function yesOrNo(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  throw new InvalidArgumentError('it must be true or false.');
}

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('it must be a whole number of seconds, 0 or more.');
  return Number(text);
}
