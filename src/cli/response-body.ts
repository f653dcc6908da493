import type { ApiRequest, CliContext, ServerOptions } from './context.ts';

/** The lines of a body, without their line ends. */
export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

/** Sends a request and parses the JSON of its answer. */
export async function requestJson<T>(context: CliContext, server: ServerOptions, request: ApiRequest): Promise<T> {
  const response = await context.request(server, request);
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as T;
}
