import { UserError } from '../lib/errors.ts';
import type { KubeObject, Resource } from './resources.ts';
import * as resources from './resources.ts';
import { parseApiVersion } from './type-names.ts';
import { excerpt, type Position, parseYamlDocuments, type YamlDocument, YamlError } from './yaml-text.ts';

/** An object as a manifest has it: neither decoded nor defaulted. */
export interface ManifestObject {
  readonly resource: Resource;
  readonly object: KubeObject;
  /** `FILE:LINE:COLUMN`: where a field stands, by the API server's path. Without a path: the object itself. */
  locate(fieldPath?: string): string;
}

/** The resources that manifests may hold when nothing else is said. */
const KNOWN: readonly Resource[] = Object.values(resources).filter(
  (value): value is Resource => typeof value === 'object' && 'plural' in value,
);

/**
 * Reads a manifest: YAML or JSON, several documents, lists.
 * @param file its name, for messages
 * @param known the resources that it may hold
 * @throws UserError with file, line and column, of a mistake in each document that has one
 */
export function readManifest(text: string, file: string, known: readonly Resource[] = KNOWN): ManifestObject[] {
  let documents: YamlDocument[];
  try {
    documents = parseYamlDocuments(text);
  } catch (error) {
    if (error instanceof YamlError)
      throw new UserError(`${place(file, error.position)}: ${error.message}`, { cause: error });
    throw error;
  }
  const objects: ManifestObject[] = [];
  const mistakes: UserError[] = [];
  for (const document of documents) {
    if (document.value === undefined) continue;
    try {
      objects.push(...objectsIn(document.value, '', undefined, { document, file, known }));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      mistakes.push(error);
    }
  }
  if (mistakes.length > 0) throw together(mistakes);
  if (objects.length === 0) throw new UserError(`${file}: holds no objects`);
  return objects;
}

/** Several mistakes as one, each in a line of its own. */
function together(mistakes: readonly UserError[]): UserError {
  const hints = new Set(mistakes.map(({ hint }) => hint).filter((hint) => hint !== undefined));
  return new UserError(
    mistakes.map(({ message }) => message).join('\n'),
    hints.size > 0 ? { hint: [...hints].join('; ') } : {},
  );
}

/** A value as messages show it. */
const shown = (value: unknown): string => excerpt(JSON.stringify(value), 60);

interface Source {
  readonly document: YamlDocument;
  readonly file: string;
  readonly known: readonly Resource[];
}

const place = (file: string, { line, column }: Position): string => `${file}:${line}:${column}`;

/** @param path of the value in its document @param inherited what a typed list says its items are */
function objectsIn(
  value: unknown,
  path: string,
  inherited: { apiVersion: string; kind: string } | undefined,
  source: Source,
): ManifestObject[] {
  const at = (field: string): string =>
    place(source.file, source.document.locate(path === '' ? field : field === '' ? path : `${path}.${field}`));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const what = Array.isArray(value) ? 'a list' : shown(value);
    throw new UserError(`${at('')}: expected a Kubernetes object, found ${what}`);
  }
  const object = value as Record<string, unknown>;
  const header = (field: 'apiVersion' | 'kind'): string => {
    const text = object[field] ?? inherited?.[field];
    if (text === undefined || text === '') throw new UserError(`${at('')}: ${field} is missing`);
    if (typeof text !== 'string') throw new UserError(`${at(field)}: ${field} must be text, found ${shown(text)}`);
    return text;
  };
  const apiVersion = header('apiVersion');
  const kind = header('kind');
  if (kind.endsWith('List') && Array.isArray(object.items)) {
    const itemKind = kind.slice(0, -'List'.length);
    const items = itemKind === '' ? undefined : { apiVersion, kind: itemKind };
    return object.items.flatMap((item, i) =>
      objectsIn(item, path === '' ? `items[${i}]` : `${path}.items[${i}]`, items, source),
    );
  }
  const { group, version } = parseApiVersion(apiVersion);
  const resource = source.known.find((r) => r.kind === kind && r.group === group && r.version === version);
  if (!resource) throw unknownKind(apiVersion, kind, at, source.known);
  const { metadata } = object;
  if (metadata !== undefined && metadata !== null && (typeof metadata !== 'object' || Array.isArray(metadata))) {
    throw new UserError(`${at('metadata')}: metadata must be a mapping, found ${shown(metadata)}`);
  }
  return [
    {
      resource,
      object: { ...object, apiVersion, kind, metadata: metadata ?? {} } as KubeObject,
      locate: (fieldPath = '') => at(fieldPath),
    },
  ];
}

function unknownKind(
  apiVersion: string,
  kind: string,
  at: (field: string) => string,
  known: readonly Resource[],
): UserError {
  const sameName = known.find((resource) => resource.kind.toLowerCase() === kind.toLowerCase());
  if (sameName) {
    const version = resources.apiVersionOf(sameName);
    return new UserError(
      `${at(sameName.kind === kind ? 'apiVersion' : 'kind')}: no kind ${shown(kind)} in version ${shown(apiVersion)}`,
      { hint: `did you mean kind: ${sameName.kind} in apiVersion: ${version}?` },
    );
  }
  const kinds = [...new Set(known.map((resource) => resource.kind))].sort();
  return new UserError(`${at('kind')}: no kind ${shown(kind)} in version ${shown(apiVersion)}`, {
    hint: `kubelette knows ${kinds.join(', ')}`,
  });
}
