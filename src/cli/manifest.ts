import { isNode, LineCounter, type ParsedNode, parseAllDocuments, type YAMLError } from 'yaml';
import type { KubeObject, Resource } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import { UserError } from '../lib/errors.ts';
import { resourceOfKind } from './resource-names.ts';

/** One object of a manifest file, and where its fields stand in it. */
export interface ManifestObject {
  readonly resource: Resource;
  /** With its namespace when the resource has them. */
  readonly object: KubeObject;
  /** `FILE:LINE:COLUMN` of a field (`spec.containers[0].image`), or of its nearest ancestor that is in the file. */
  locate(field: string): string;
}

/**
 * The objects of a YAML or JSON text, `List`s unfolded. YAML is read as Kubernetes reads it: version 1.1 booleans and octals,
 * no dates. Nothing is sent anywhere: what the fields mean is the API server's to judge.
 * @param file its name, for messages
 * @param namespace for objects that name none
 * @throws UserError with file, line and column
 */
export function parseManifest(text: string, file: string, namespace: string): ManifestObject[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: '1.1',
    merge: true,
    lineCounter: lines,
    prettyErrors: false,
    // Kubernetes knows JSON's types only: a date or 1:30 is a string to it.
    customTags: (tags) => tags.filter((t) => typeof t === 'string' || (!NOT_JSON.test(t.tag) && t.format !== 'TIME')),
  });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };

  const objects: ManifestObject[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const broken = document.errors[0];
    if (broken) throw new UserError(`${at(broken.pos[0])}: ${wordsOf(broken)}`);
    const value = asJson(document, at);
    if (value === null || value === undefined) continue;
    const root = document.contents as ParsedNode | null;
    const start = at(root?.range[0] ?? 0);
    const locateFrom =
      (base: readonly (string | number)[]) =>
      (field: string): string => {
        const path = [...base, ...parseFieldPath(field)];
        for (let n = path.length; n > 0; n--) {
          const node = keyOrValue(document, path.slice(0, n));
          const offset = node?.range?.[0];
          if (offset !== undefined) return at(offset);
        }
        return start;
      };
    const add = (item: unknown, base: readonly (string | number)[]): void => {
      objects.push(toObject(item, locateFrom(base), namespace));
    };
    if ((value as { kind?: unknown }).kind === 'List' && Array.isArray((value as { items?: unknown }).items)) {
      (value as { items: unknown[] }).items.forEach((item, i) => {
        add(item, ['items', i]);
      });
    } else {
      add(value, []);
    }
  }
  if (objects.length === 0) throw new UserError(`${file}: holds no object`);
  return objects;
}

const NOT_JSON = /^tag:yaml\.org,2002:(timestamp|binary|set|omap|pairs)$/;

function wordsOf(error: YAMLError): string {
  return error.code === 'DUPLICATE_KEY' ? 'this key is there twice' : error.message.replace(/\n[\s\S]*$/, '');
}

function asJson(document: { toJS(o?: object): unknown }, at: (offset: number) => string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new UserError(`${at(0)}: ${(error as Error).message}`);
  }
}

function toObject(value: unknown, locate: (field: string) => string, namespace: string): ManifestObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UserError(`${locate('')}: this is not an object with apiVersion, kind and metadata`);
  }
  const { apiVersion, kind, metadata } = value as Partial<Record<'apiVersion' | 'kind' | 'metadata', unknown>>;
  if (typeof apiVersion !== 'string' || apiVersion === '') throw missing('apiVersion', 'v1');
  if (typeof kind !== 'string' || kind === '') throw missing('kind', 'Pod');
  const resource = resourceOfKind(apiVersion, kind);
  if (!resource) {
    throw new UserError(`${locate('kind')}: no resource of kind ${kind} in ${apiVersion} here`, {
      hint: 'kubelette runs Pods; kinds such as Deployment need a cluster',
    });
  }
  const meta = (metadata ?? {}) as KubeObject['metadata'];
  if (typeof meta !== 'object' || Array.isArray(meta)) throw new UserError(`${locate('metadata')}: must be an object`);
  return {
    resource,
    object: {
      ...(value as object),
      metadata: resource.namespaced ? { ...meta, namespace: meta.namespace ?? namespace } : meta,
    },
    locate,
  };

  function missing(field: string, example: string): UserError {
    return new UserError(`${locate(field)}: ${field} is missing`, { hint: `such as \`${field}: ${example}\`` });
  }
}

/** `spec.containers[0].ports[1]` and `metadata.labels[a/b.c]` as a path: numbers are indices. */
export function parseFieldPath(field: string): (string | number)[] {
  return [...field.matchAll(/\[([^\]]*)\]|[^.[\]]+/g)].map(([whole, inner]) => {
    if (inner === undefined) return whole;
    return /^\d+$/.test(inner) ? Number(inner) : inner.replace(/^"|"$/g, '');
  });
}

/** The node of a path: its key where it has one, since that is where an eye looks. */
function keyOrValue(
  document: { getIn(path: Iterable<unknown>, keepScalar?: boolean): unknown },
  path: readonly (string | number)[],
): { range?: readonly number[] | null | undefined } | undefined {
  const parent =
    path.length === 1 ? (document as { contents?: unknown }).contents : document.getIn(path.slice(0, -1), true);
  const items = (parent as { items?: unknown[] } | undefined)?.items ?? [];
  const last = path.at(-1);
  for (const item of items) {
    const key = (item as { key?: { value?: unknown; range?: number[] } }).key;
    if (key !== undefined && key.value === last) return key;
  }
  const node = typeof last === 'number' ? items[last] : undefined;
  return isNode(node) ? node : undefined;
}

/**
 * An error of the API server about this object, with the place in the file of every field that it names, as one `UserError`.
 * Anything else is returned as it is.
 */
export function locateError(error: unknown, at: ManifestObject): unknown {
  if (!(error instanceof ApiStatusError)) return error;
  const name = `${at.resource.kind} "${at.object.metadata.name ?? ''}"`;
  const causes = (error.details?.causes ?? []).filter((c) => c.field);
  if (error.reason === 'Invalid' && causes.length > 0) {
    const lines = causes.map((c) => `${at.locate(c.field!)}: ${c.field}: ${c.message ?? 'invalid'}`);
    return new UserError(`${name} is invalid:\n${lines.join('\n')}`, { cause: error });
  }
  // strict decoding error: unknown field "spec.x", duplicate field "spec.y"
  const fields = [...error.message.matchAll(/(?:unknown|duplicate) field "([^"]+)"/g)];
  if (error.reason === 'BadRequest' && fields.length > 0) {
    const lines = fields.map(([words, field]) => `${at.locate(field!)}: ${words}`);
    return new UserError(`${name} has fields that do not exist:\n${lines.join('\n')}`, {
      hint: '--validate=warn applies the rest',
      cause: error,
    });
  }
  return error;
}

/** A warning of the API server with the place of the field it names, if it names one. */
export function locateWarning(text: string, at: ManifestObject): string {
  const field = /field "([^"]+)"/.exec(text)?.[1] ?? /^([a-z]\w*(?:\.\w+|\[[^\]]*\])+)\b/.exec(text)?.[1];
  return field === undefined ? text : `${at.locate(field)}: ${text}`;
}

/** How the object is called in messages: `pod/p`. */
export function nameOf({ resource, object }: Pick<ManifestObject, 'resource' | 'object'>): string {
  return `${resource.kind.toLowerCase()}/${object.metadata.name ?? object.metadata.generateName ?? ''}`;
}
