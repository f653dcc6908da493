import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
} from 'yaml';

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

/**
 * Reads YAML (and so JSON) as kubectl does: version 1.1, `yes` and `on` are true, `0644` is octal. A key that stands twice is an
 * error; aliases that would blow the text up are refused.
 * @throws YamlError for the first mistake
 */
export function parseYamlDocuments(text: string): YamlDocument[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: '1.1',
    lineCounter: lines,
    prettyErrors: false,
    customTags: (tags) =>
      tags.filter((tag) => typeof tag === 'string' || (!FOREIGN_TAGS.has(tag.tag) && tag.format !== 'TIME')),
  });
  // An empty stream has a list of its own kind without documents.
  if (!Array.isArray(documents)) return [];
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  return (documents as Document.Parsed[]).map((document) => {
    const [error] = document.errors;
    if (error) throw new YamlError(error.message, positionAt(error.pos[0]));
    const root = document.contents as Node | null;
    const start = positionAt(root?.range?.[0] ?? document.range[0]);
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      throw new YamlError(error instanceof Error ? error.message : String(error), start);
    }
    return {
      value: value ?? undefined,
      locate: (fieldPath) => positionAt(offsetOf(document, fieldPath) ?? root?.range?.[0] ?? document.range[0]),
    };
  });
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
