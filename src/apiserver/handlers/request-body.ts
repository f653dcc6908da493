import { JsonSyntaxError, parseJson } from '../../api/json-text.ts';
import { messageOf } from '../../lib/errors.ts';
import { badRequest } from '../registry/api-errors.ts';
import type { Exchange } from './exchange.ts';
import { mediaType, unsupportedMediaType } from './negotiate.ts';

/** The body as JSON text, whichever form it was sent in. @throws ApiStatusError 400, 413, 415 */
export async function bodyAsJson(exchange: Exchange): Promise<string> {
  const bytes = await exchange.body();
  switch (mediaType(exchange.header('content-type'))) {
    case '':
    case 'application/json':
      return bytes.toString('utf8');
    case 'application/yaml':
      return yamlToJson(bytes.toString('utf8'));
    case 'application/vnd.kubernetes.protobuf':
      return bytes.length === 0 ? '' : protobufToJson(bytes);
    default:
      throw unsupportedMediaType();
  }
}

/** The decoded body; undefined when there is none. */
export async function bodyValue(exchange: Exchange): Promise<unknown> {
  const text = await bodyAsJson(exchange);
  if (text === '') return undefined;
  try {
    return parseJson(text).value;
  } catch (error) {
    if (error instanceof JsonSyntaxError)
      throw badRequest(`couldn't get version/kind; json parse error: ${error.message}`);
    throw error;
  }
}

async function yamlToJson(text: string): Promise<string> {
  const { parseYaml } = await import('../../api/yaml-text.ts');
  try {
    return JSON.stringify(parseYaml(text));
  } catch (error) {
    throw badRequest(`error converting YAML to JSON: yaml: ${messageOf(error)}`);
  }
}

async function protobufToJson(bytes: Buffer): Promise<string> {
  const { decodeProtobuf } = await import('./protobuf-body.ts');
  try {
    return JSON.stringify(await decodeProtobuf(bytes));
  } catch (error) {
    throw badRequest(`the body is no protobuf message of Kubernetes: ${messageOf(error)}`);
  }
}
