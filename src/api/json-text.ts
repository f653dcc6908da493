/** JSON as text: what JSON.parse cannot tell, in the words of Go's decoder, which the API server's answers quote. */

/** The text is no JSON. */
export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError';
}

/** Deeper nesting is refused: nothing real needs it, and it would exhaust the stack of whatever walks the value. */
const MAX_DEPTH = 500;

/**
 * Parses JSON text and names every object key that stands twice in one object, as `data.a` or `spec.containers[0].name`.
 * The last of two equal keys counts.
 * @throws JsonSyntaxError
 */
export function parseJson(text: string): { value: unknown; duplicates: string[] } {
  const scanner = new Scanner(text);
  scanner.scan();
  return { value: JSON.parse(text), duplicates: scanner.duplicates };
}

const CODE = {
  tab: 9,
  newline: 10,
  carriage: 13,
  space: 32,
  quote: 34,
  comma: 44,
  minus: 45,
  dot: 46,
  zero: 48,
  nine: 57,
  colon: 58,
  openBracket: 91,
  backslash: 92,
  closeBracket: 93,
  openBrace: 123,
  closeBrace: 125,
} as const;

class Scanner {
  readonly duplicates: string[] = [];
  private readonly text: string;
  private position = 0;
  private readonly path: (string | number)[] = [];

  constructor(text: string) {
    this.text = text;
  }

  scan(): void {
    this.skipSpace();
    this.value();
    this.skipSpace();
    if (this.position < this.text.length) this.fail('after top-level value');
  }

  private fail(where: string): never {
    if (this.position >= this.text.length) throw new JsonSyntaxError('unexpected end of JSON input');
    const char = String.fromCodePoint(this.text.codePointAt(this.position)!);
    const shown = char === "'" ? "'\\''" : char === '"' ? `'"'` : `'${JSON.stringify(char).slice(1, -1)}'`;
    throw new JsonSyntaxError(`invalid character ${shown} ${where}`);
  }

  private skipSpace(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.position);
      if (code !== CODE.space && code !== CODE.newline && code !== CODE.carriage && code !== CODE.tab) return;
      this.position++;
    }
  }

  private value(): void {
    switch (this.text.charCodeAt(this.position)) {
      case CODE.quote:
        this.string();
        return;
      case CODE.openBrace:
        this.object();
        return;
      case CODE.openBracket:
        this.array();
        return;
      case 116:
        this.literal('true');
        return;
      case 102:
        this.literal('false');
        return;
      case 110:
        this.literal('null');
        return;
      default:
        this.number();
        return;
    }
  }

  private enter(): void {
    this.position++;
    if (this.path.length >= MAX_DEPTH) throw new JsonSyntaxError('exceeded max depth');
    this.skipSpace();
  }

  private object(): void {
    this.enter();
    if (this.text.charCodeAt(this.position) === CODE.closeBrace) {
      this.position++;
      return;
    }
    const seen = new Set<string>();
    for (;;) {
      if (this.text.charCodeAt(this.position) !== CODE.quote) this.fail('looking for beginning of object key string');
      const key = this.string();
      this.skipSpace();
      if (this.text.charCodeAt(this.position) !== CODE.colon) this.fail('after object key');
      this.position++;
      this.path.push(key);
      if (seen.has(key)) this.duplicates.push(formatPath(this.path));
      seen.add(key);
      this.skipSpace();
      this.value();
      this.path.pop();
      this.skipSpace();
      const code = this.text.charCodeAt(this.position);
      if (code === CODE.closeBrace) break;
      if (code !== CODE.comma) this.fail('after object key:value pair');
      this.position++;
      this.skipSpace();
    }
    this.position++;
  }

  private array(): void {
    this.enter();
    if (this.text.charCodeAt(this.position) === CODE.closeBracket) {
      this.position++;
      return;
    }
    for (let i = 0; ; i++) {
      this.path.push(i);
      this.value();
      this.path.pop();
      this.skipSpace();
      const code = this.text.charCodeAt(this.position);
      if (code === CODE.closeBracket) break;
      if (code !== CODE.comma) this.fail('after array element');
      this.position++;
      this.skipSpace();
    }
    this.position++;
  }

  private string(): string {
    const start = this.position++;
    let escaped = false;
    for (;;) {
      const code = this.text.charCodeAt(this.position);
      if (code === CODE.quote) break;
      if (code === CODE.backslash) {
        escaped = true;
        this.position++;
        const letter = this.text[this.position];
        if (letter === 'u') {
          for (let i = 0; i < 4; i++) {
            this.position++;
            if (!/[0-9a-fA-F]/.test(this.text[this.position] ?? '')) this.fail('in \\u hexadecimal character escape');
          }
        } else if (letter === undefined || !'"\\/bfnrt'.includes(letter)) {
          this.fail('in string escape code');
        }
      } else if (!(code >= CODE.space)) {
        // also NaN: the end of the text
        this.fail('in string literal');
      }
      this.position++;
    }
    this.position++;
    const raw = this.text.slice(start, this.position);
    return escaped ? (JSON.parse(raw) as string) : raw.slice(1, -1);
  }

  private literal(word: string): void {
    for (let i = 1; i < word.length; i++) {
      this.position++;
      if (this.text[this.position] !== word[i]) this.fail(`in literal ${word} (expecting '${word[i]}')`);
    }
    this.position++;
  }

  private digits(): boolean {
    const start = this.position;
    for (;;) {
      const code = this.text.charCodeAt(this.position);
      if (!(code >= CODE.zero && code <= CODE.nine)) return this.position > start;
      this.position++;
    }
  }

  private number(): void {
    const negative = this.text.charCodeAt(this.position) === CODE.minus;
    if (negative) this.position++;
    if (this.text.charCodeAt(this.position) === CODE.zero) this.position++;
    else if (!this.digits()) this.fail(negative ? 'in numeric literal' : 'looking for beginning of value');
    if (this.text.charCodeAt(this.position) === CODE.dot) {
      this.position++;
      if (!this.digits()) this.fail('after decimal point in numeric literal');
    }
    if (/[eE]/.test(this.text[this.position] ?? '')) {
      this.position++;
      if (/[-+]/.test(this.text[this.position] ?? '')) this.position++;
      if (!this.digits()) this.fail('in exponent of numeric literal');
    }
  }
}

/** `spec.containers[0].name` */
export function formatPath(path: readonly (string | number)[]): string {
  let text = '';
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`;
  return text;
}
