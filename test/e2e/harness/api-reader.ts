import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';

export interface WatchLine<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

/** Of anything but a watch. */
const LONGEST_ANSWER_MS = 10_000;

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { user: { 'client-certificate-data'?: string; 'client-key-data'?: string; token?: string } }[];
}

/**
 * Uses an API server through a kubeconfig, independently of the product's own client: tests wait and watch with it, since
 * a kubectl for each look would cost more than what is being tested.
 */
export class ApiReader {
  private readonly server: string;
  private readonly agent: Agent;
  private readonly headers: Record<string, string>;

  constructor(kubeconfig: string) {
    const config = parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig;
    const { cluster } = config.clusters[0]!;
    const { user } = config.users[0]!;
    const decode = (text: string | undefined) => (text === undefined ? undefined : Buffer.from(text, 'base64'));
    this.server = cluster.server;
    this.agent = new Agent({
      ca: decode(cluster['certificate-authority-data']),
      cert: decode(user['client-certificate-data']),
      key: decode(user['client-key-data']),
      keepAlive: true,
    });
    this.headers = user.token ? { authorization: `Bearer ${user.token}` } : {};
  }

  /** @throws the server's message when it answers with anything but success */
  async get<T>(path: string, accept = 'application/json'): Promise<T> {
    const response = await this.open('GET', path, accept);
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    if (response.statusCode !== 200) throw new Error(`GET ${path}: ${response.statusCode} ${text}`);
    return JSON.parse(text) as T;
  }

  /** Writes. @returns the status code and the answer; rejects when there is none */
  async send(method: string, path: string, body?: unknown, type = 'application/json'): Promise<[number, unknown]> {
    const sent = body === undefined ? undefined : { type, text: JSON.stringify(body) };
    const response = await this.open(method, path, 'application/json', sent);
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    return [response.statusCode ?? 0, JSON.parse(text)];
  }

  /** Calls `onLine` for each event of a watch until the returned function is called or the server ends it. */
  async watch<T>(path: string, onLine: (line: WatchLine<T>) => void, accept = 'application/json'): Promise<() => void> {
    const response = await this.open('GET', `${path}${path.includes('?') ? '&' : '?'}watch=true`, accept);
    const lines = createInterface(response);
    lines.on('line', (line) => onLine(JSON.parse(line) as WatchLine<T>));
    response.on('error', () => {}); // the agent was killed: tests of that do not rely on a watch
    return () => void response.destroy();
  }

  close(): void {
    this.agent.destroy();
  }

  private open(
    method: string,
    path: string,
    accept: string,
    body?: { readonly type: string; readonly text: string },
  ): Promise<import('node:http').IncomingMessage> {
    const headers = { ...this.headers, accept, ...(body && { 'content-type': body.type }) };
    return new Promise((resolve, reject) => {
      const asked = request(new URL(path, this.server), { method, agent: this.agent, headers }, resolve);
      asked.setTimeout(LONGEST_ANSWER_MS, () => {
        if (!path.includes('watch=true')) asked.destroy(new Error(`${method} ${path}: no answer`));
      });
      asked.on('error', reject).end(body?.text);
    });
  }
}
