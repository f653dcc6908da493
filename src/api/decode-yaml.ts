import { type Decoded, type DecodeOptions, decodeObject } from './decode.ts';
import type { KubeObject, Resource } from './resources.ts';
import { ApiStatusError } from './status-error.ts';
import { parseYaml, YamlError } from './yaml-text.ts';

/** As `decodeJson`, from a request body in YAML. Apart from it, since not every program needs a YAML parser. */
export function decodeYaml<T extends KubeObject>(
  resource: Resource<T>,
  text: string,
  options: DecodeOptions = {},
): Decoded<T> {
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new ApiStatusError(
      400,
      'BadRequest',
      `the object provided is unrecognized (must be of type ${resource.kind}): couldn't get version/kind; json parse error: error converting YAML to JSON: yaml: line ${error.position.line}: ${error.message}`,
      undefined,
      { cause: error },
    );
  }
  return decodeObject(resource, value ?? null, options);
}
