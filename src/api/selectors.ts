import type { LabelSelector } from './generated/types.ts';
import { isLabelValue, isQualifiedName } from './name-rules.ts';
import { ownValue } from './own-value.ts';
import type { KubeObject, Resource } from './resources.ts';
import { ApiStatusError } from './status-error.ts';

/** One condition on an object's labels. */
export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | '=' | '==' | '!=' | 'exists' | '!' | 'gt' | 'lt';
  readonly values: readonly string[];
}

/** One condition on a field that the API server can select by. */
export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

const badRequest = (message: string) => new ApiStatusError(400, 'BadRequest', message);

// ---- label selectors, string form. Grammar and words: apimachinery pkg/labels/selector.go

type Token = {
  readonly kind: 'identifier' | 'end' | '=' | '==' | '!=' | '!' | '(' | ')' | ',' | '>' | '<';
  readonly text: string;
};

const SYMBOLS = /^(?:==|!=|=|!|\(|\)|,|>|<)/;
const IDENTIFIER = /^[^=!(),<>\s]+/;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    const symbol = SYMBOLS.exec(rest)?.[0];
    const token = symbol ?? IDENTIFIER.exec(rest)![0];
    tokens.push({ kind: (symbol ?? 'identifier') as Token['kind'], text: token });
    rest = rest.slice(token.length).trimStart();
  }
  return tokens;
}

const BINARY_OPERATORS = 'in, notin, =, ==, !=, gt, lt';
const END: Token = { kind: 'end', text: '' };

class SelectorParser {
  private readonly tokens: Token[];
  private position = 0;

  constructor(text: string) {
    this.tokens = tokenize(text);
  }

  private peek(): Token {
    return this.tokens[this.position] ?? END;
  }

  private next(): Token {
    const token = this.peek();
    this.position++;
    return token;
  }

  parse(): LabelRequirement[] {
    const requirements: LabelRequirement[] = [];
    for (;;) {
      const token = this.peek();
      if (token.kind === 'end') return requirements;
      if (token.kind !== 'identifier' && token.kind !== '!')
        throw badRequest(`found '${token.text}', expected: !, identifier, or 'end of string'`);
      requirements.push(this.requirement());
      const separator = this.next();
      if (separator.kind === 'end') return requirements;
      if (separator.kind !== ',') throw badRequest(`found '${separator.text}', expected: ',' or 'end of string'`);
      const after = this.peek();
      if (after.kind !== 'identifier' && after.kind !== '!')
        throw badRequest(`found '${after.text}', expected: identifier after ','`);
    }
  }

  private requirement(): LabelRequirement {
    const fail = (message: string) => badRequest(`unable to parse requirement: ${message}`);
    const negated = this.peek().kind === '!';
    if (negated) this.next();
    const name = this.next();
    if (name.kind !== 'identifier') throw fail(`found '${name.text}', expected: identifier`);
    const key = name.text;
    const keyErrors = isQualifiedName(key);
    if (keyErrors.length > 0) throw fail(`<nil>: Invalid value: ${JSON.stringify(key)}: ${keyErrors.join('; ')}`);
    if (negated) return { key, operator: '!', values: [] };
    if (this.peek().kind === 'end' || this.peek().kind === ',') return { key, operator: 'exists', values: [] };
    const operator = this.operator(fail);
    const values = operator === 'in' || operator === 'notin' ? this.valueList(fail) : [this.exactValue(fail)];
    if (values.length === 0)
      throw fail("values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
    if ((operator === 'gt' || operator === 'lt') && !/^[-+]?[0-9]+$/.test(values[0]!))
      throw fail(`values[0]: Invalid value: "${values[0]}": for 'Gt', 'Lt' operators, the value must be an integer`);
    for (const [i, value] of values.entries()) {
      const errors = isLabelValue(value);
      if (errors.length > 0)
        throw fail(`values[${i}][${key}]: Invalid value: ${JSON.stringify(value)}: ${errors.join('; ')}`);
    }
    return { key, operator, values };
  }

  private operator(fail: (message: string) => Error): LabelRequirement['operator'] {
    const token = this.next();
    switch (token.kind) {
      case '=':
      case '==':
      case '!=':
        return token.kind;
      case '>':
        return 'gt';
      case '<':
        return 'lt';
      case 'identifier':
        if (token.text === 'in' || token.text === 'notin') return token.text;
        break;
      default:
    }
    throw fail(`found '${token.text}', expected: ${BINARY_OPERATORS}`);
  }

  private exactValue(fail: (message: string) => Error): string {
    if (this.peek().kind === 'end' || this.peek().kind === ',') return '';
    const token = this.next();
    if (token.kind !== 'identifier') throw fail(`found '${token.text}', expected: identifier`);
    return token.text;
  }

  /** `(a,b)`; an empty place between commas is the empty value. */
  private valueList(fail: (message: string) => Error): string[] {
    const open = this.next();
    if (open.kind !== '(') throw fail(`found '${open.text}' expected: '('`);
    const first = this.peek();
    if (first.kind === ')') {
      this.next();
      return [];
    }
    if (first.kind !== 'identifier' && first.kind !== ',')
      throw fail(`found '${first.text}', expected: ',', ')' or identifier`);
    const values = new Set<string>();
    for (;;) {
      const token = this.peek();
      if (token.kind === 'identifier') {
        values.add(token.text);
        this.next();
      } else if (token.kind === ',' || token.kind === ')') {
        values.add('');
      } else {
        throw fail(`found '${token.text}', expected: ',', or identifier`);
      }
      const separator = this.next();
      if (separator.kind === ')') return [...values].sort();
      if (separator.kind !== ',') throw fail(`found '${separator.text}', expected: ',' or ')'`);
    }
  }
}

/**
 * Parses the string form (`a=b,c in (x,y),!d`). The empty text selects everything.
 * @throws ApiStatusError 400 in the API server's words
 */
export function parseLabelSelector(text: string): LabelRequirement[] {
  return new SelectorParser(text).parse();
}

const OPERATORS: Readonly<Record<string, LabelRequirement['operator']>> = {
  In: 'in',
  NotIn: 'notin',
  Exists: 'exists',
  DoesNotExist: '!',
};

/**
 * The requirements of a LabelSelector object. Undefined selects nothing and yields undefined; an empty one selects everything.
 * @throws ApiStatusError 400 on an unknown operator
 */
export function labelRequirements(selector: LabelSelector | undefined): LabelRequirement[] | undefined {
  if (!selector) return undefined;
  const requirements: LabelRequirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({
    key,
    operator: '=',
    values: [value],
  }));
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const known = ownValue(OPERATORS, operator);
    if (!known) throw badRequest(`${JSON.stringify(operator)} is not a valid label selector operator`);
    requirements.push({ key, operator: known, values });
  }
  return requirements;
}

/** Whether labels satisfy every requirement. */
export function matchesLabels(
  requirements: readonly LabelRequirement[],
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return requirements.every(({ key, operator, values }) => {
    const value = ownValue(labels, key);
    switch (operator) {
      case 'in':
      case '=':
      case '==':
        return value !== undefined && values.includes(value);
      case 'notin':
      case '!=':
        return value === undefined || !values.includes(value);
      case 'exists':
        return value !== undefined;
      case '!':
        return value === undefined;
      case 'gt':
      case 'lt': {
        if (value === undefined || !/^[-+]?[0-9]+$/.test(value)) return false;
        return operator === 'gt' ? Number(value) > Number(values[0]) : Number(value) < Number(values[0]);
      }
    }
    return operator satisfies never;
  });
}

// ---- field selectors. Words: apimachinery pkg/fields/selector.go, supported fields: pkg/apis/core/v1/conversion.go

/** Fields beyond metadata that can be selected by, by plural name. */
const SELECTABLE: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  nodes: ['spec.unschedulable'],
  namespaces: ['status.phase'],
  secrets: ['type'],
  services: ['spec.clusterIP', 'spec.type'],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
};

/** What events.k8s.io calls the fields of a stored event. Source: pkg/apis/events/v1/conversion.go */
const EVENTS_V1_FIELDS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    SELECTABLE.events!.filter((field) => field.startsWith('involvedObject.')).map((field) => [
      field.replace('involvedObject', 'regarding'),
      field,
    ]),
  ),
  reportingController: 'reportingComponent',
  reason: 'reason',
  type: 'type',
  'metadata.namespace': 'metadata.namespace',
  'metadata.name': 'metadata.name',
};

/**
 * Parses `status.phase=Running,spec.nodeName!=x` for this resource. A backslash escapes `,`, `=` and itself in values.
 * @throws ApiStatusError 400 in the API server's words, also for a field this resource cannot be selected by
 */
export function parseFieldSelector(resource: Resource, text: string): FieldRequirement[] {
  const extra = SELECTABLE[resource.plural];
  return splitTerms(text).map((term) => {
    const match = /^((?:[^=!\\]|\\.|!(?!=))*)(!=|==|=)(.*)$/s.exec(term);
    if (!match) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
    const [, written = '', operator, escaped = ''] = match;
    const field = storedField(resource, written);
    if (field !== 'metadata.name' && field !== 'metadata.namespace' && !extra?.includes(field ?? '')) {
      throw badRequest(
        extra
          ? `field label not supported: ${written}`
          : `${JSON.stringify(written)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
      );
    }
    return { field: field!, operator: operator === '!=' ? '!=' : '=', value: unescapeValue(escaped) };
  });
}

/** The path in the stored object; undefined when this version of the API has no such field. */
function storedField({ group, plural }: Resource, written: string): string | undefined {
  if (group === 'events.k8s.io') return ownValue(EVENTS_V1_FIELDS, written);
  return plural === 'pods' && written === 'spec.host' ? 'spec.nodeName' : written;
}

/** Splits at commas that are not escaped; empty terms are dropped, as upstream does. */
function splitTerms(text: string): string[] {
  return (text.match(/(?:[^,\\]|\\.|\\$)+/gs) ?? []).filter((term) => term !== '');
}

function unescapeValue(text: string): string {
  return text.replace(/\\(.?)|([,=])/gs, (whole, escaped: string | undefined) => {
    if (escaped === ',' || escaped === '=' || escaped === '\\') return escaped;
    if (escaped === undefined) throw badRequest(`invalid field selector: unescaped character in value: ${whole}`);
    throw badRequest(`invalid field selector: invalid escape sequence: ${whole}`);
  });
}

/** Whether an object satisfies every requirement. An absent field has the empty value, an absent boolean is `false`. */
export function matchesFields(requirements: readonly FieldRequirement[], object: KubeObject): boolean {
  return requirements.every(
    ({ field, operator, value }) => (fieldValue(object, field) === value) === (operator === '='),
  );
}

function fieldValue(object: KubeObject, field: string): string {
  if (field === 'source') {
    const event = object as { source?: { component?: string }; reportingComponent?: string };
    return event.source?.component || event.reportingComponent || '';
  }
  if (field === 'status.podIPs') {
    const ips = (object as { status?: { podIPs?: { ip: string }[] } }).status?.podIPs;
    return ips?.map((entry) => entry.ip).join(',') ?? '';
  }
  let value: unknown = object;
  for (const part of field.split('.')) value = (value as Record<string, unknown> | undefined)?.[part];
  if (value === undefined || value === null) {
    return field === 'spec.hostNetwork' || field === 'spec.unschedulable' ? 'false' : '';
  }
  return String(value);
}
