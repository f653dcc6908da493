import { Command } from 'commander';
import { expect, test } from 'vitest';
import { LEASES, NODES, PODS } from '../api/resources.ts';
import { parseTargets, resourceByName, typeNameOf } from './resource-names.ts';
import { addServerOptions, serverOptions } from './server-options.ts';

test.each([
  ['pods', PODS],
  ['Pod', PODS],
  ['po', PODS],
  ['no', NODES],
  ['leases.coordination.k8s.io', LEASES],
])('%s', (name, resource) => {
  expect(resourceByName(name)).toBe(resource);
});

test('names of one object', () => {
  expect([typeNameOf(PODS), typeNameOf(LEASES)]).toEqual(['pod', 'lease.coordination.k8s.io']);
});

test.each([
  [['pods'], [{ resource: PODS }]],
  [
    ['pod', 'a', 'b'],
    [
      { resource: PODS, name: 'a' },
      { resource: PODS, name: 'b' },
    ],
  ],
  [
    ['pod/a', 'node/n'],
    [
      { resource: PODS, name: 'a' },
      { resource: NODES, name: 'n' },
    ],
  ],
  [['pods,no'], [{ resource: PODS }, { resource: NODES }]],
])('%j', (args, targets) => {
  expect(parseTargets(args)).toEqual(targets);
});

test.each([[['pod/a', 'b']], [['pod/']], [['pod/a/b']]])('%j is neither', (args) => {
  expect(() => parseTargets(args)).toThrow('is not TYPE/NAME');
});

test('root directory, kubeconfig and namespace: the nearest option, then the environment, then the default', async () => {
  const parsed = async (line: string, env: Record<string, string> = {}) => {
    let found: unknown;
    const program = addServerOptions(new Command()).enablePositionalOptions();
    addServerOptions(program.command('get')).action((_options: object, command: Command) => {
      found = serverOptions(command, { env, cwd: '/work' });
    });
    await program.parseAsync(line.split(' '), { from: 'user' });
    return found;
  };
  expect(await parsed('get')).toEqual({
    rootDir: '/var/lib/kubelette',
    kubeconfig: '/var/lib/kubelette/kubeconfig',
    namespace: 'default',
  });
  expect(await parsed('--root-dir a -n x get --root-dir b')).toEqual({
    rootDir: '/work/b',
    kubeconfig: '/work/b/kubeconfig',
    namespace: 'x',
  });
  expect(await parsed('get --kubeconfig k', { KUBELETTE_ROOT_DIR: '/srv' })).toEqual({
    rootDir: '/srv',
    kubeconfig: '/work/k',
    namespace: 'default',
  });
});
