import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { errnoOf, messageOf, UserError } from '../lib/errors.ts';

/** How to reach one API server, and as whom. PEM texts. */
export interface KubeconfigContext {
  /** `https://127.0.0.1:6443` */
  readonly server: string;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly token?: string | undefined;
  /** The namespace that commands use when none is given. */
  readonly namespace?: string | undefined;
  /** `insecure-skip-tls-verify` */
  readonly insecure?: boolean | undefined;
}

/** The kubeconfig of one server and one user, as YAML (JSON is YAML). */
function renderKubeconfig({ server, ca, cert, key }: KubeconfigContext): string {
  const name = 'kubelette';
  const base64 = (pem = ''): string => Buffer.from(pem).toString('base64');
  return [
    'apiVersion: v1',
    'kind: Config',
    `current-context: ${name}`,
    'clusters:',
    `- name: ${name}`,
    '  cluster:',
    `    server: ${server}`,
    `    certificate-authority-data: ${base64(ca)}`,
    'users:',
    `- name: ${name}`,
    '  user:',
    `    client-certificate-data: ${base64(cert)}`,
    `    client-key-data: ${base64(key)}`,
    'contexts:',
    `- name: ${name}`,
    '  context:',
    `    cluster: ${name}`,
    `    user: ${name}`,
    '',
  ].join('\n');
}

/** Writes a kubeconfig that only its owner reads (0600), whole or not at all. @throws UserError */
export function writeKubeconfig(path: string, context: KubeconfigContext): void {
  const draft = `${path}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(draft, renderKubeconfig(context), { mode: 0o600 });
    renameSync(draft, path);
  } catch (error) {
    throw new UserError(`cannot write the kubeconfig ${path}: ${messageOf(error)}`, { cause: error });
  }
}

interface Named {
  readonly name?: string;
}
interface KubeconfigFile {
  readonly 'current-context'?: string;
  readonly clusters?: readonly (Named & { readonly cluster?: Record<string, unknown> })[];
  readonly users?: readonly (Named & { readonly user?: Record<string, unknown> })[];
  readonly contexts?: readonly (Named & { readonly context?: Record<string, unknown> })[];
}

/**
 * Reads one context of a kubeconfig: certificates and tokens, inline or in files beside it. Other ways to log in (exec plugins, auth
 * providers, passwords) are refused by name.
 * @param contextName the current context when absent
 * @throws UserError
 */
export async function loadKubeconfig(path: string, contextName?: string): Promise<KubeconfigContext> {
  const { parse } = await import('yaml');
  let file: KubeconfigFile;
  try {
    file = (parse(readFileSync(path, 'utf8')) ?? {}) as KubeconfigFile;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw new UserError(`there is no kubeconfig ${path}`, { cause: error });
    throw new UserError(`cannot read the kubeconfig ${path}: ${messageOf(error)}`, { cause: error });
  }
  const wanted = contextName ?? file['current-context'];
  if (!wanted) throw new UserError(`${path} has no current-context`);
  const context = find(path, 'context', file.contexts, wanted)?.context ?? {};
  const cluster = find(path, 'cluster', file.clusters, text(context.cluster))?.cluster ?? {};
  const user = context.user === undefined ? {} : (find(path, 'user', file.users, text(context.user))?.user ?? {});
  for (const unsupported of ['exec', 'auth-provider', 'username', 'as']) {
    if (user[unsupported] !== undefined) {
      throw new UserError(
        `${path}: users[${text(context.user)}].user.${unsupported} is not supported: use a client certificate or a token`,
      );
    }
  }
  const server = text(cluster.server);
  if (!/^https?:\/\//.test(server))
    throw new UserError(
      `${path}: clusters[${text(context.cluster)}].cluster.server: ${JSON.stringify(server)} is no URL`,
    );
  const material = (holder: Record<string, unknown>, name: string): string | undefined => {
    const inline = holder[`${name}-data`];
    if (inline !== undefined) return Buffer.from(text(inline), 'base64').toString('utf8');
    return holder[name] === undefined ? undefined : readBeside(path, text(holder[name]));
  };
  const tokenFile = user.tokenFile === undefined ? undefined : readBeside(path, text(user.tokenFile)).trim();
  return {
    server: server.replace(/\/+$/, ''),
    ca: material(cluster, 'certificate-authority'),
    cert: material(user, 'client-certificate'),
    key: material(user, 'client-key'),
    token: user.token === undefined ? tokenFile : text(user.token),
    namespace: context.namespace === undefined ? undefined : text(context.namespace),
    insecure: cluster['insecure-skip-tls-verify'] === true,
  };
}

function find<T extends Named>(path: string, kind: string, list: readonly T[] | undefined, name: string): T {
  const found = list?.find((entry) => entry.name === name);
  if (!found) throw new UserError(`${path} has no ${kind} named ${JSON.stringify(name)}`);
  return found;
}

function readBeside(kubeconfig: string, path: string): string {
  const file = resolve(join(dirname(kubeconfig), '.'), path);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UserError(`${kubeconfig} names ${file}, which cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function text(value: unknown): string {
  return value === undefined || value === null ? '' : String(value);
}
