import { Command } from 'commander';
import { expect, test } from 'vitest';
import type { ServerOptions } from './context.ts';
import { addServerOptions, serverOptions } from './server-options.ts';

function parse(words: string[], env: Record<string, string> = {}): ServerOptions {
  let found: ServerOptions | undefined;
  const program = addServerOptions(new Command('kubelette'));
  addServerOptions(program.command('down')).action((_options, command: Command) => {
    found = serverOptions(command, { env, cwd: '/work' });
  });
  program.parse(words, { from: 'user' });
  return found!;
}

test.each<[words: string[], env: Record<string, string>, rootDir: string]>([
  [['down'], {}, '/var/lib/kubelette'],
  [['down'], { KUBELETTE_ROOT_DIR: '/srv/k' }, '/srv/k'],
  [['down'], { KUBELETTE_ROOT_DIR: '' }, '/var/lib/kubelette'],
  [['--root-dir', '/a', 'down'], { KUBELETTE_ROOT_DIR: '/srv/k' }, '/a'],
  [['--root-dir', '/a', 'down', '--root-dir', 'b'], {}, '/work/b'],
])('%j with %j: %s', (words, env, rootDir) => {
  expect(parse(words, env)).toEqual({ rootDir, kubeconfig: `${rootDir}/kubeconfig`, namespace: 'default' });
});

test.each([[['down', '--root-dir', '']], [['--root-dir', '', 'down']]])('%j is refused', (words) => {
  expect(() => parse(words)).toThrow('--root-dir: invalid value "": must not be empty');
});
