import { type Document, isAlias, isMap, isNode, isScalar, isSeq, type Node, parseAllDocuments } from 'yaml';
import { messageOf } from '../lib/errors.ts';

/** A place in a text; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** The text is no YAML that we take. */
export class YamlError extends Error {
  override readonly name = 'YamlError';
  readonly position: Position;

  constructor(message: string, position: Position) {
    super(message);
    this.position = position;
  }
}

/** One document of a YAML stream: its value, and where each part of it stands. */
export interface YamlDocument {
  /** Undefined for an empty document. */
  readonly value: unknown;
  /**
   * Where a field stands, by the API server's path (`spec.containers[0].name`, `data[a b]`); for a field that is not there, where
   * the nearest part of the object around it stands.
   */
  locate(fieldPath: string): Position;
}

/** What YAML 1.1 has beyond what kubectl's parser reads: base 60, times, sets and the like stay text. */
const FOREIGN_TAGS: ReadonlySet<string> = new Set(
  ['binary', 'omap', 'pairs', 'set', 'timestamp'].map((name) => `tag:yaml.org,2002:${name}`),
);
const MAX_ALIASES = 100;

/** A message may quote the text, however long. */
const MAX_MESSAGE = 200;

/**
 * Reads YAML (and so JSON) as kubectl does: version 1.1, `yes` and `on` are true, `0644` is octal; also JSON objects that follow one
 * another. A key that stands twice is an error; aliases that would blow the text up are refused.
 * @throws YamlError for the first mistake
 */
export function parseYamlDocuments(text: string): YamlDocument[] {
  const whole = parse(text, text, 0);
  if (whole.every(({ errors }) => errors.length === 0)) return whole.map((parsed) => documentOf(parsed, text, 0));
  const objects = jsonObjects(text);
  if (objects.length < 2) return whole.map((parsed) => documentOf(parsed, text, 0));
  return objects.flatMap(({ from, to }) =>
    parse(text.slice(from, to), text, from).map((parsed) => documentOf(parsed, text, from)),
  );
}

/** @param part of the text, from this offset on */
function parse(part: string, text: string, from: number): Document.Parsed[] {
  try {
    const documents = parseAllDocuments(part, {
      version: '1.1',
      prettyErrors: false,
      customTags: (tags) =>
        tags.filter((tag) => typeof tag === 'string' || (!FOREIGN_TAGS.has(tag.tag) && tag.format !== 'TIME')),
    });
    // An empty stream has a list of its own kind without documents.
    return Array.isArray(documents) ? (documents as Document.Parsed[]) : [];
  } catch (error) {
    throw yamlError(error, positionIn(text, from));
  }
}

/** @param from the offset in the text from which the document's own count */
function documentOf(document: Document.Parsed, text: string, from: number): YamlDocument {
  const at = (offset: number): Position => positionIn(text, from + offset);
  const [error] = document.errors;
  if (error) throw yamlError(error, at(error.pos[0]));
  const root = document.contents as Node | null;
  const start = root?.range?.[0] ?? document.range[0];
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw yamlError(error, at(start));
  }
  return { value: value ?? undefined, locate: (fieldPath) => at(offsetOf(document, fieldPath) ?? start) };
}

function yamlError(error: unknown, position: Position): YamlError {
  const message = messageOf(error);
  // The parser goes down by calling itself, until the stack is full; that is thrown, or its first mistake.
  if (/call stack/.test(message)) return new YamlError('nested too deeply', position);
  return new YamlError(excerpt(message, MAX_MESSAGE), position);
}

/** The text, or its beginning. */
export function excerpt(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength)}...`;
}

function positionIn(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') };
}

/** Where each of several JSON objects stands when a text is nothing else; none otherwise. */
function jsonObjects(text: string): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = [];
  let depth = 0;
  let from = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (inString) {
      if (char === '\\') i++;
      else if (char === '"') inString = false;
    } else if (depth === 0) {
      if (char === '{') {
        from = i;
        depth = 1;
      } else if (char.trim() !== '') return [];
    } else if (char === '"') {
      inString = true;
    } else if (char === '{' || char === '[') {
      depth++;
    } else if (char === '}' || char === ']') {
      depth--;
      if (depth === 0) found.push({ from, to: i + 1 });
    }
  }
  return found;
}

/**
 * The only document of a text.
 * @throws YamlError also when there are several
 */
export function parseYaml(text: string): unknown {
  const documents = parseYamlDocuments(text).filter((document) => document.value !== undefined);
  if (documents.length > 1) throw new YamlError('expected a single document', documents[1]!.locate(''));
  return documents[0]?.value;
}

/** `spec.containers[0].env` -> spec, containers, 0, env. Brackets hold an index or a key with dots in it. */
function splitFieldPath(path: string): string[] {
  return Array.from(path.matchAll(/\[([^\]]*)\]|([^.[]+)/g), (match) => match[1] ?? match[2] ?? '');
}

function offsetOf(document: Document.Parsed, fieldPath: string): number | undefined {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const part of splitFieldPath(fieldPath)) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === part);
      if (!pair) break;
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      const item = node.items[Number(part)];
      if (!isNode(item)) break;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else {
      break;
    }
  }
  return offset;
}
