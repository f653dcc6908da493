import { ApiStatusError } from '../status-error.ts';

/**
 * One mistake in an object, as `field.Error` of apimachinery has it.
 * `value` is shown for `Invalid`, `NotSupported`, `NotFound` and `Duplicate`.
 */
export interface FieldError {
  readonly type:
    | 'Required'
    | 'Invalid'
    | 'NotSupported'
    | 'Duplicate'
    | 'NotFound'
    | 'Forbidden'
    | 'TooLong'
    | 'TooMany';
  /** `spec.containers[0].name` */
  readonly field: string;
  readonly value?: unknown;
  readonly detail: string;
}

export const required = (field: string, detail = ''): FieldError => ({ type: 'Required', field, detail });
export const invalid = (field: string, value: unknown, detail: string): FieldError => ({
  type: 'Invalid',
  field,
  value,
  detail,
});
export const forbidden = (field: string, detail: string): FieldError => ({ type: 'Forbidden', field, detail });
export const duplicate = (field: string, value: unknown): FieldError => ({
  type: 'Duplicate',
  field,
  value,
  detail: '',
});
export const notFound = (field: string, value: unknown): FieldError => ({ type: 'NotFound', field, value, detail: '' });
/** @param supported in the order to be shown */
export const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError => ({
  type: 'NotSupported',
  field,
  value,
  detail: supported.length > 0 ? `supported values: ${supported.map((s) => JSON.stringify(s)).join(', ')}` : '',
});
export const tooLong = (field: string, maxBytes: number): FieldError => ({
  type: 'TooLong',
  field,
  detail: `may not be more than ${maxBytes} bytes`,
});
export const tooMany = (field: string, actual: number, max: number): FieldError => ({
  type: 'TooMany',
  field,
  value: actual,
  detail: `must have at most ${max} items`,
});

const TITLE: Record<FieldError['type'], string> = {
  Required: 'Required value',
  Invalid: 'Invalid value',
  NotSupported: 'Unsupported value',
  Duplicate: 'Duplicate value',
  NotFound: 'Not found',
  Forbidden: 'Forbidden',
  TooLong: 'Too long',
  TooMany: 'Too many',
};

/** `Invalid value: "x": must be ...`: the error without its field, as a Status cause has it. */
export function fieldErrorBody(error: FieldError): string {
  const title = TITLE[error.type];
  const shown = error.type === 'Required' || error.type === 'Forbidden' || error.type === 'TooLong';
  const body = shown ? title : `${title}: ${JSON.stringify(error.value ?? null)}`;
  return error.detail === '' ? body : `${body}: ${error.detail}`;
}

/** `spec.x: Invalid value: ...` */
export function formatFieldError(error: FieldError): string {
  return `${error.field}: ${fieldErrorBody(error)}`;
}

/**
 * The answer 422 to an object with these mistakes.
 * @param kind the object's kind and group; a Resource fits
 */
export function invalidError(
  kind: { readonly group: string; readonly kind: string },
  name: string,
  errors: readonly FieldError[],
): ApiStatusError {
  const messages = [...new Set(errors.map(formatFieldError))];
  const joined = messages.length === 1 ? messages[0]! : `[${messages.join(', ')}]`;
  const qualified = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  return new ApiStatusError(422, 'Invalid', `${qualified} ${JSON.stringify(name)} is invalid: ${joined}`, {
    ...(name ? { name } : {}),
    ...(kind.group ? { group: kind.group } : {}),
    ...(kind.kind ? { kind: kind.kind } : {}),
    causes: errors.map((error) => ({
      reason: `FieldValue${error.type}`,
      message: fieldErrorBody(error),
      field: error.field,
    })),
  });
}
