import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { UserError } from '../lib/errors.ts';
import { DEFAULT_ROOT_DIR } from '../lib/instance.ts';
import type { CliContext, ServerOptions } from './context.ts';

/**
 * Adds `--root-dir`, `--kubeconfig` and `-n` to a command. They are on the program and on each command, since `exec` needs
 * positional options (what follows the pod belongs to the command in the container), and then a command sees only its own.
 */
export function addServerOptions(command: Command): Command {
  const options = [
    new Option('--root-dir <dir>', `state of the instance (default: $KUBELETTE_ROOT_DIR or ${DEFAULT_ROOT_DIR})`),
    new Option('--kubeconfig <file>', 'credentials for the API server (default: ROOT_DIR/kubeconfig)'),
    new Option('-n, --namespace <name>', 'namespace to work in (default: default)'),
  ];
  for (const option of options) command.addOption(option.helpGroup('Which node:'));
  return command;
}

/**
 * What the options of `addServerOptions` say, given before or after the command's name; the latter wins.
 * @throws UserError for an empty root directory: a shell's unset variable is not meant to be the current directory
 */
export function serverOptions(command: Command, context: Pick<CliContext, 'env' | 'cwd'>): ServerOptions {
  const given: { rootDir?: string; kubeconfig?: string; namespace?: string } = {};
  for (let at: Command | null = command; at; at = at.parent) {
    const options = at.opts<typeof given>();
    given.rootDir ??= options.rootDir;
    given.kubeconfig ??= options.kubeconfig;
    given.namespace ??= options.namespace;
  }
  if (given.rootDir === '') throw new UserError('--root-dir: invalid value "": must not be empty');
  const rootDir = resolve(context.cwd, given.rootDir ?? (context.env.KUBELETTE_ROOT_DIR || DEFAULT_ROOT_DIR));
  return {
    rootDir,
    kubeconfig: given.kubeconfig === undefined ? join(rootDir, 'kubeconfig') : resolve(context.cwd, given.kubeconfig),
    namespace: given.namespace ?? 'default',
  };
}
