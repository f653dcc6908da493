import type { YamlDocument } from '../../api/yaml-text.ts';
import { UserError } from '../../lib/errors.ts';
import { countOf, durationOf } from './assumed-values.ts';
import type { Complain } from './pod-targets.ts';

const MAX_EXIT_CODE = 255;

/** One mapping of a YAML file, whose values are taken out by their kind; what is wrong is told with its place. */
export class Fields {
  private readonly value: Readonly<Record<string, unknown>>;
  private readonly path: string;
  private readonly file: string;
  private readonly document: YamlDocument;

  constructor(value: unknown, path: string, file: string, document: YamlDocument) {
    this.path = path;
    this.file = file;
    this.document = document;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.complain()(`expected a mapping, found ${JSON.stringify(value)}`);
    }
    this.value = value as Record<string, unknown>;
  }

  /** Errors about one field, or about the mapping itself. */
  complain(key?: string): Complain {
    const path = key === undefined ? this.path : this.path === '' ? key : `${this.path}.${key}`;
    const { line, column } = this.document.locate(path);
    const field = path === '' ? '' : `${path}: `;
    return (reason, hint) =>
      new UserError(`${this.file}:${line}:${column}: ${field}${reason}`, hint === undefined ? {} : { hint });
  }

  has(key: string): boolean {
    return Object.hasOwn(this.value, key);
  }

  /** @throws when there is any other field */
  only(...known: string[]): void {
    for (const key of Object.keys(this.value)) {
      if (!known.includes(key)) throw this.complain(key)('there is no such field', `fields here: ${known.join(', ')}`);
    }
  }

  text(key: string): string | undefined {
    const value = this.value[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'object') throw this.complain(key)(`expected text, found ${JSON.stringify(value)}`);
    return String(value);
  }

  duration(key: string): number | undefined {
    const text = this.text(key);
    return text === undefined ? undefined : durationOf(text, this.complain(key));
  }

  count(key: string): number | undefined {
    const text = this.text(key);
    return text === undefined ? undefined : countOf(text, this.complain(key));
  }

  exitCode(key: string): number | undefined {
    const text = this.text(key);
    if (text === undefined || (/^\d+$/.test(text) && Number(text) <= MAX_EXIT_CODE)) {
      return text === undefined ? undefined : Number(text);
    }
    throw this.complain(key)(`${JSON.stringify(text)} is no exit code, 0 to ${MAX_EXIT_CODE}`);
  }

  flag(key: string): boolean | undefined {
    const value = this.value[key];
    if (value === undefined || typeof value === 'boolean') return value;
    throw this.complain(key)(`expected true or false, found ${JSON.stringify(value)}`);
  }

  /** The mappings below a field, by their keys. */
  children(key: string): [name: string, fields: Fields][] {
    if (this.value[key] === undefined || this.value[key] === null) return [];
    const below = new Fields(this.value[key], this.at(key), this.file, this.document);
    return Object.keys(below.value).map((name) => [
      name,
      new Fields(below.value[name], `${below.path}[${name}]`, this.file, this.document),
    ]);
  }

  /** The mappings in the list below a field; one alone need not be in a list. */
  items(key: string): Fields[] {
    const value = this.value[key];
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) return [new Fields(value, this.at(key), this.file, this.document)];
    return value.map((item, i) => new Fields(item, `${this.at(key)}[${i}]`, this.file, this.document));
  }

  private at(key: string): string {
    return this.path === '' ? key : `${this.path}.${key}`;
  }
}
