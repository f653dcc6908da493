import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiStatusError } from '../../api/status-error.ts';
import type { Representation } from './negotiate.ts';

/** As upstream's: no object may be larger. Bytes. */
const MAX_BODY = 3 << 20;

const AGENT = '299 -';

/** One HTTP request and its answer. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly query: URLSearchParams;
  private readonly warnings = new Set<string>();

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.request = request;
    this.response = response;
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  }

  get method(): string {
    return this.request.method ?? 'GET';
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(',') : value;
  }

  /** Adds a `Warning` header to the answer; kubectl shows it. */
  readonly warn = (text: string): void => {
    this.warnings.add(text);
  };

  /** The whole body. @throws ApiStatusError 413 */
  async body(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BODY) {
        const message = `Request entity too large: limit is ${MAX_BODY}`;
        throw new ApiStatusError(413, 'RequestEntityTooLarge', message);
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** Sends JSON text. */
  sendText(code: number, text: string, contentType: string): void {
    this.sendBytes(code, Buffer.from(text, 'utf8'), contentType);
  }

  sendBytes(code: number, bytes: Buffer, contentType: string): void {
    this.writeHead(code, contentType, bytes.length);
    this.response.end(this.method === 'HEAD' ? undefined : bytes);
  }

  /** Sends a value in the representation that was negotiated. */
  async send(code: number, json: string | object, representation: Representation): Promise<void> {
    if (representation.type === 'application/yaml') {
      const value: unknown = typeof json === 'string' ? JSON.parse(json) : json;
      this.sendText(code, await yamlText(value), representation.contentType);
      return;
    }
    this.sendText(code, typeof json === 'string' ? json : JSON.stringify(json), representation.contentType);
  }

  /** Begins an answer whose end is not known yet. */
  startStream(contentType: string): void {
    this.writeHead(200, contentType);
    this.response.flushHeaders();
  }

  sendError(error: ApiStatusError): void {
    if (this.response.headersSent) {
      this.response.destroy();
      return;
    }
    if (error.code === 401) this.response.setHeader('WWW-Authenticate', 'Basic realm="kubelette"');
    const retry = error.details?.retryAfterSeconds;
    if (retry !== undefined) this.response.setHeader('Retry-After', String(retry));
    this.sendText(error.code, JSON.stringify(error.toStatus()), 'application/json');
  }

  private writeHead(code: number, contentType: string, length?: number): void {
    const { response } = this;
    response.statusCode = code;
    response.setHeader('Content-Type', contentType);
    response.setHeader('Cache-Control', 'no-cache, private');
    if (length !== undefined) response.setHeader('Content-Length', length);
    if (this.warnings.size > 0) {
      response.setHeader(
        'Warning',
        [...this.warnings].map((text) => `${AGENT} ${quote(text)}`),
      );
    }
  }
}

/** A quoted-string of HTTP. Header values are Latin-1, so everything else is left out. */
function quote(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`;
}

/** The library is large and few ask for YAML: loaded when first needed. */
async function yamlText(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(value, { version: '1.1', sortMapEntries: true, indentSeq: false, lineWidth: 0 });
}
