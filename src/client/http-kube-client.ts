import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { DeleteOptions, Status } from '../api/generated/types.ts';
import { apiVersionOf, type KubeObject, pathOf, type Resource } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import { abortReason, isAbort } from '../lib/errors.ts';
import type {
  KubeClient,
  KubeList,
  ListOptions,
  ObjectKey,
  PatchType,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './kube-client.ts';
import type { KubeconfigContext } from './kubeconfig.ts';
import { parseWarnings } from './warning-header.ts';

const PATCH_CONTENT_TYPES: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** A server that accepts a connection and then says nothing is as good as gone. */
const ANSWER_TIMEOUT_MS = 60_000;
/** More would only take turns at the server, and each connection costs it 100 KB and more for as long as it is kept. */
const MAX_CALL_CONNECTIONS = 10;

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** Any API server over HTTPS, as a kubeconfig describes it. Connections of calls are kept and used again; `close` ends them. */
export class HttpKubeClient implements KubeClient {
  private readonly context: KubeconfigContext;
  private readonly base: URL;
  private readonly agents: { readonly calls: Agent; readonly watches: Agent } | undefined;

  constructor(context: KubeconfigContext) {
    this.context = context;
    this.base = new URL(context.server);
    const { ca, cert, key, insecure } = context;
    if (this.base.protocol === 'https:') {
      const identity = {
        rejectUnauthorized: !insecure,
        ...(ca ? { ca } : {}),
        ...(cert ? { cert } : {}),
        ...(key ? { key } : {}),
      };
      this.agents = {
        calls: new Agent({ ...identity, keepAlive: true, maxSockets: MAX_CALL_CONNECTIONS }),
        // Each takes a connection for as long as it lasts.
        watches: new Agent(identity),
      };
    }
  }

  close(): void {
    this.agents?.calls.destroy();
    this.agents?.watches.destroy();
  }

  get<T extends KubeObject>(resource: Resource<T>, { namespace, name }: ObjectKey): Promise<T> {
    return this.json<T>({ method: 'GET', path: pathOf(resource, namespace, name) });
  }

  async list<T extends KubeObject>(resource: Resource<T>, options: ListOptions = {}): Promise<KubeList<T>> {
    const path = pathOf(resource, options.namespace);
    const list = await this.json<KubeList<T>>({ method: 'GET', path, query: listQuery(options) });
    // Items of a list come without their type; here an object always says what it is.
    const type = { kind: resource.kind, apiVersion: apiVersionOf(resource) };
    return { ...list, items: list.items.map((item) => ({ ...type, ...item })) };
  }

  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const { signal } = options;
    const bookmarks = options.allowWatchBookmarks ? 'true' : undefined;
    const query = { ...listQuery(options), watch: 'true', allowWatchBookmarks: bookmarks };
    try {
      const answer = await this.send({ method: 'GET', path: pathOf(resource, options.namespace), query, signal });
      for await (const line of linesOf(answer)) {
        if (signal.aborted) return;
        yield JSON.parse(line) as WatchEvent<T>;
      }
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      throw error;
    }
  }

  create<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    const path = options.subresource
      ? pathOf(resource, namespace, name, options.subresource)
      : pathOf(resource, namespace);
    return this.write<T>('POST', path, resource, object, options);
  }

  update<T extends KubeObject>(resource: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace, name } = object.metadata;
    return this.write<T>('PUT', pathOf(resource, namespace, name, options.subresource), resource, object, options);
  }

  patch<T extends KubeObject>(
    resource: Resource<T>,
    { namespace, name }: ObjectKey,
    type: PatchType,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<T> {
    return this.json<T>({
      method: 'PATCH',
      path: pathOf(resource, namespace, name, options.subresource),
      query: { ...writeQuery(options), ...(options.force ? { force: 'true' } : {}) },
      body: patch,
      contentType: PATCH_CONTENT_TYPES[type],
      onWarning: options.onWarning,
    });
  }

  async delete<T extends KubeObject>(
    resource: Resource<T>,
    { namespace, name }: ObjectKey,
    options?: DeleteOptions,
  ): Promise<T | undefined> {
    const body = options && { kind: 'DeleteOptions', apiVersion: 'v1', ...options };
    const answer = await this.json<T | Status>({ method: 'DELETE', path: pathOf(resource, namespace, name), body });
    return answer.kind === 'Status' ? undefined : (answer as T);
  }

  private write<T extends KubeObject>(
    method: string,
    path: string,
    resource: Resource<T>,
    object: T,
    options: WriteOptions,
  ): Promise<T> {
    const type = { kind: resource.kind, apiVersion: apiVersionOf(resource) };
    const { onWarning } = options;
    return this.json<T>({ method, path, query: writeQuery(options), body: { ...type, ...object }, onWarning });
  }

  private async json<T>(call: Call): Promise<T> {
    const answer = await this.send(call);
    return JSON.parse(await textOf(answer)) as T;
  }

  /** Resolves with a successful answer's head. @throws ApiStatusError otherwise */
  private async send(call: Call): Promise<IncomingMessage> {
    const answer = await this.exchange(call);
    // A refusal may come with warnings that say what led to it.
    if (call.onWarning) for (const text of parseWarnings(answer.headers.warning)) call.onWarning(text);
    const code = answer.statusCode ?? 0;
    if (code >= 200 && code < 300) return answer;
    throw errorFrom(code, await textOf(answer));
  }

  private exchange({ method, path, query = {}, body, contentType, signal }: Call): Promise<IncomingMessage> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, value);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const { token } = this.context;
    const prefix = this.base.pathname.replace(/\/$/, '');
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortReason(signal));
      const start = this.agents ? httpsRequest : httpRequest;
      const agent = query.watch ? this.agents?.watches : this.agents?.calls;
      const request = start({
        method,
        host: this.base.hostname.replace(/^\[|\]$/g, ''),
        port: this.base.port,
        path: `${prefix}${path}${search.size > 0 ? `?${search}` : ''}`,
        ...(agent ? { agent } : {}),
        ...(signal ? { signal } : {}),
        headers: {
          Accept: 'application/json',
          'User-Agent': 'kubelette',
          ...(token ? { Authorization: `Bearer ${token}` } : {}),
          ...(text === undefined
            ? {}
            : { 'Content-Type': contentType ?? 'application/json', 'Content-Length': Buffer.byteLength(text) }),
        },
      });
      request.setTimeout(ANSWER_TIMEOUT_MS, () => request.destroy(new Error(`${this.base.host} does not answer`)));
      request.on('response', (answer) => {
        // A watch may be quiet for as long as nothing happens.
        request.setTimeout(0);
        resolve(answer);
      });
      request.on('error', reject);
      request.end(text);
    });
  }
}

function listQuery(options: ListOptions): Record<string, string | undefined> {
  return {
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    resourceVersion: options.resourceVersion,
    limit: options.limit?.toString(),
    continue: options.continue,
  };
}

function writeQuery(options: WriteOptions): Record<string, string | undefined> {
  return {
    fieldManager: options.fieldManager,
    dryRun: options.dryRun ? 'All' : undefined,
    fieldValidation: options.fieldValidation,
  };
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

/** Whole lines as they arrive. A character may be cut by the network, a line may come in many pieces. */
async function* linesOf(answer: IncomingMessage): AsyncGenerator<string> {
  answer.setEncoding('utf8');
  let rest = '';
  for await (const chunk of answer as unknown as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line !== '') yield line;
  }
}

/** The server's Status; an answer that is none (a proxy's page) becomes one. */
function errorFrom(code: number, text: string): ApiStatusError {
  try {
    const status = JSON.parse(text) as Status;
    if (status.kind === 'Status') return ApiStatusError.fromStatus({ code, ...status });
  } catch {
    // Not JSON.
  }
  return new ApiStatusError(code, '', text.trim() || `the server answered with status ${code}`);
}
