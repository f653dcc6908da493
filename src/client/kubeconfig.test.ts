import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadKubeconfig, writeKubeconfig } from './kubeconfig.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kubelette-kubeconfig-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('what is written can be read, and only by its owner', async () => {
  const path = join(dir, 'deep', 'kubeconfig');
  const context = { server: 'https://127.0.0.1:6443', ca: 'CA\n', cert: 'CERT\n', key: 'KEY\n' };
  writeKubeconfig(path, context);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(await loadKubeconfig(path)).toMatchObject(context);
  writeKubeconfig(path, { ...context, server: 'https://127.0.0.1:7443' });
  expect((await loadKubeconfig(path)).server).toBe('https://127.0.0.1:7443');
  expect(readFileSync(path, 'utf8')).not.toContain('KEY');
});

const write = (text: string): string => {
  const path = join(dir, 'config');
  writeFileSync(path, text);
  return path;
};
const config = (user: string, extra = ''): string => `
current-context: one
clusters: [{name: c, cluster: {server: 'https://c:1/', certificate-authority: ca.pem${extra}}}]
users: [{name: u, user: ${user}}]
contexts: [{name: one, context: {cluster: c, user: u, namespace: ns}}, {name: two, context: {cluster: none, user: u}}]
`;

test('files beside the kubeconfig, a token, a namespace', async () => {
  writeFileSync(join(dir, 'ca.pem'), 'PEM');
  writeFileSync(join(dir, 'token'), 'secret\n');
  expect(await loadKubeconfig(write(config('{tokenFile: token}')))).toEqual({
    server: 'https://c:1',
    ca: 'PEM',
    cert: undefined,
    key: undefined,
    token: 'secret',
    namespace: 'ns',
    insecure: false,
  });
  const insecure = config('{token: t}', ', insecure-skip-tls-verify: true');
  expect(await loadKubeconfig(write(insecure))).toMatchObject({ token: 't', insecure: true });
});

test.each<[string, string, string | undefined, RegExp]>([
  ['no such context', config('{}'), 'three', /has no context named "three"$/],
  ['no such cluster', config('{}'), 'two', /has no cluster named "none"$/],
  ['an exec plugin', config('{exec: {command: aws}}'), undefined, /users\[u\]\.user\.exec is not supported/],
  ['a file that lacks', config('{}'), undefined, /names .*ca\.pem, which cannot be read/],
  ['no YAML', 'a: [', undefined, /^cannot read the kubeconfig /],
  ['no context at all', '{}', undefined, /has no current-context$/],
])('%s', async (_, text, context, message) => {
  await expect(loadKubeconfig(write(text), context)).rejects.toThrow(message);
});

test('a kubeconfig that is not there', async () => {
  await expect(loadKubeconfig(join(dir, 'none'))).rejects.toThrow(`there is no kubeconfig ${join(dir, 'none')}`);
});
