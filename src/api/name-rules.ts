/**
 * What names, labels and the like must look like. Every function returns the list of what is wrong, in the API server's words;
 * empty when the text is right. Rules: apimachinery `pkg/util/validation/validation.go`.
 */

function mustBe(message: string, pattern: string, ...examples: string[]): string {
  const shown = examples.map((example, i) => `${i === 0 ? '' : ' or '}'${example}', `).join('');
  return `${message} (e.g. ${shown}regex used for validation is '${pattern}')`;
}

const tooLong = (max: number): string => `must be no more than ${max} characters`;
/** Labels and qualified names are counted in bytes: apimachinery `pkg/api/validate/content`. */
const tooManyBytes = (max: number): string => `must be no more than ${max} bytes`;

/** A rule of one pattern and a length, with its message built once. */
function rule(max: number, pattern: string, message: string, ...examples: string[]): (value: string) => string[] {
  const regexp = new RegExp(`^${pattern}$`);
  const wrong = mustBe(message, pattern, ...examples);
  return (value) => {
    const errors: string[] = [];
    if (value.length > max) errors.push(tooLong(max));
    if (!regexp.test(value)) errors.push(wrong);
    return errors;
  };
}

const LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const SUBDOMAIN_SHAPE = new RegExp(`^${SUBDOMAIN}$`);

const isLabelShaped = rule(
  63,
  LABEL,
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  'my-name',
  '123-abc',
);

/** `my-name`: container, volume, namespace and service names. */
export function isDNS1123Label(value: string): string[] {
  const errors = isLabelShaped(value);
  // A good subdomain that is no label can only have dots too many.
  return errors.length > 0 && SUBDOMAIN_SHAPE.test(value)
    ? errors.map((error) => (error.startsWith('a lowercase') ? 'must not contain dots' : error))
    : errors;
}

/** `example.com`: names of most objects. */
export const isDNS1123Subdomain = rule(
  253,
  SUBDOMAIN,
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  'example.com',
);

/** As a subdomain, with underscores: search domains. */
export const isDNS1123SubdomainWithUnderscore = rule(
  253,
  '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*',
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
  'example.com',
);

/** Keys of ConfigMaps and Secrets. */
export function isConfigMapKey(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 253) errors.push(tooLong(253));
  if (!/^[-._a-zA-Z0-9]+$/.test(value)) {
    errors.push(
      mustBe(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        '[-._a-zA-Z0-9]+',
        'key.name',
        'KEY_NAME',
        'key-name',
      ),
    );
  }
  if (value === '.') errors.push("must not be '.'");
  if (value === '..') errors.push("must not be '..'");
  else if (value.startsWith('..')) errors.push("must not start with '..'");
  return errors;
}

/** Names of environment variables: printable ASCII without `=` (relaxed validation, stable since 1.34). */
export function isEnvVarName(value: string): string[] {
  if (value === '') return ['environment variable name must be non-empty'];
  return /^[ -<>-~]+$/.test(value)
    ? []
    : ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
}

/** Names of HTTP headers. */
export function isHTTPHeaderName(value: string): string[] {
  return /^[-A-Za-z0-9]+$/.test(value)
    ? []
    : [mustBe("a valid HTTP header must consist of alphanumeric characters or '-'", '[-A-Za-z0-9]+', 'X-Header-Name')];
}

const NAME_PART = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const NAME_PART_WRONG = mustBe(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]',
  'MyName',
  'my.name',
  '123-abc',
);

/** Keys of labels and annotations: `name` or `example.com/name`. */
export function isQualifiedName(value: string): string[] {
  const slash = value.indexOf('/');
  const errors: string[] = [];
  let name = value;
  if (slash >= 0) {
    if (value.indexOf('/', slash + 1) >= 0) {
      return [
        `a valid label key ${mustBe(
          "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
          '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]',
          'MyName',
          'my.name',
          '123-abc',
        )} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
      ];
    }
    const prefix = value.slice(0, slash);
    name = value.slice(slash + 1);
    if (prefix === '') errors.push('prefix part must be non-empty');
    else errors.push(...isDNS1123Subdomain(prefix).map((message) => `prefix part ${message}`));
  }
  if (name === '') errors.push('name part must be non-empty');
  else if (name.length > 63) errors.push(`name part ${tooManyBytes(63)}`);
  if (!NAME_PART.test(name)) errors.push(`name part ${NAME_PART_WRONG}`);
  return errors;
}

/** Values of labels. */
export function isLabelValue(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 63) errors.push(tooManyBytes(63));
  if (value !== '' && !NAME_PART.test(value)) {
    errors.push(
      mustBe(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?',
        'MyValue',
        'my_value',
        '12345',
      ),
    );
  }
  return errors;
}

/** Names of container ports: an IANA service name. */
export function isPortName(value: string): string[] {
  const errors: string[] = [];
  if (value.length > 15) errors.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(value))
    errors.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(value)) errors.push('must contain at least one letter (a-z)');
  if (value.includes('--')) errors.push('must not contain consecutive hyphens');
  if (value.startsWith('-') || value.endsWith('-')) errors.push('must not begin or end with a hyphen');
  return errors;
}

/** Port numbers, 1 to 65535. */
export function isPortNumber(value: number): string[] {
  return value >= 1 && value <= 65535 ? [] : ['must be between 1 and 65535, inclusive'];
}
