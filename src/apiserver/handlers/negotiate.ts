import { ApiStatusError } from '../../api/status-error.ts';

/** How an answer is written. */
export interface Representation {
  readonly type: 'application/json' | 'application/yaml';
  /** Another form than the objects themselves. */
  readonly as: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList' | 'APIGroupDiscoveryList' | undefined;
  /** The content type to answer with. */
  readonly contentType: string;
}

interface MediaRange {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const AVAILABLE = ['application/json', 'application/yaml'] as const;
/** What bodies may be. */
const READABLE = [...AVAILABLE, 'application/vnd.kubernetes.protobuf'];
const TRANSFORMED = ['Table', 'PartialObjectMetadata', 'PartialObjectMetadataList'] as const;

/**
 * The first of the accepted representations that exists here; protobuf does not. `forms` are the transformations that this path knows.
 * @throws ApiStatusError 406. Source: apiserver pkg/endpoints/handlers/negotiation
 */
export function negotiate(accept: string | undefined, forms: 'objects' | 'discovery' | 'none'): Representation {
  const json: Representation = { type: 'application/json', as: undefined, contentType: 'application/json' };
  if (!accept) return json;
  for (const { type, parameters } of parseAccept(accept)) {
    const found = AVAILABLE.find((available) => matches(type, available));
    if (!found) continue;
    const { as, g, v } = parameters;
    if (as === undefined) return { type: found, as: undefined, contentType: found };
    if (forms === 'objects' && g === 'meta.k8s.io' && v === 'v1') {
      const form = TRANSFORMED.find((name) => name === as);
      if (form) return { type: found, as: form, contentType: found };
    }
    if (forms === 'discovery' && as === 'APIGroupDiscoveryList' && g === 'apidiscovery.k8s.io' && v === 'v2') {
      return { type: found, as, contentType: `${found};g=${g};v=${v};as=${as}` };
    }
  }
  const message = `406: Not Acceptable\n\nAvailable representations: ${AVAILABLE.join(', ')}`;
  throw new ApiStatusError(406, 'NotAcceptable', message, {});
}

/** The media ranges, the most wanted first. */
function parseAccept(header: string): MediaRange[] {
  const ranges = header.split(',').map((part) => {
    const [type = '', ...rest] = part.split(';').map((piece) => piece.trim());
    const parameters: Record<string, string> = {};
    for (const parameter of rest) {
      const [name = '', value = ''] = parameter.split('=');
      parameters[name] = value;
    }
    return { type: type.toLowerCase(), parameters };
  });
  const quality = ({ parameters }: MediaRange): number => Number(parameters.q ?? 1) || 0;
  return ranges.filter((range) => quality(range) > 0).sort((a, b) => quality(b) - quality(a));
}

function matches(range: string, type: string): boolean {
  return range === type || range === '*/*' || (range.endsWith('/*') && type.startsWith(range.slice(0, -1)));
}

/** The type of a body, without parameters. */
export function mediaType(header: string | undefined): string {
  return (header ?? '').split(';')[0]!.trim().toLowerCase();
}

/** @throws ApiStatusError 415 */
export function unsupportedMediaType(): ApiStatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${READABLE.join(', ')}`;
  return new ApiStatusError(415, 'UnsupportedMediaType', message);
}
