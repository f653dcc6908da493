import type { ApiStatusError } from '../../api/status-error.ts';
import { forbidden, invalid, invalidError } from '../../api/validation/field-error.ts';
import { badRequest, unclassified } from './api-errors.ts';

/** What a list or watch asks for, decoded. */
export interface ReadOptions {
  readonly namespace?: string | undefined;
  /** One object only; from `fieldSelector=metadata.name=X` or the path. */
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly resourceVersionMatch?: string | undefined;
  readonly limit?: number | undefined;
  readonly continue?: string | undefined;
  readonly sendInitialEvents?: boolean | undefined;
}

const LIST_OPTIONS = { group: 'meta.k8s.io', kind: 'ListOptions' };
const MATCHES = ['Exact', 'NotOlderThan'];

/**
 * Refuses combinations that mean nothing.
 * @throws ApiStatusError 422. Source: apimachinery pkg/apis/meta/internalversion/validation
 */
export function validateReadOptions(options: ReadOptions, watch: boolean): void {
  const { resourceVersion, resourceVersionMatch: match, sendInitialEvents } = options;
  const field = 'resourceVersionMatch';
  const errors = [];
  if (sendInitialEvents !== undefined) {
    if (!watch) errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
    else if (match !== 'NotOlderThan') {
      errors.push(forbidden(field, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
    }
  } else if (match !== undefined && match !== '') {
    if (watch)
      errors.push(forbidden(field, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
    if (!resourceVersion) {
      errors.push(forbidden(field, 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
    }
    if (options.continue) errors.push(forbidden(field, 'resourceVersionMatch is forbidden when continue is provided'));
    if (!MATCHES.includes(match)) {
      errors.push({
        type: 'NotSupported' as const,
        field,
        value: match,
        detail: `supported values: "Exact", "NotOlderThan", ""`,
      });
    } else if (match === 'Exact' && resourceVersion === '0') {
      errors.push(forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (options.limit !== undefined && options.limit < 0) {
    errors.push(invalid('limit', options.limit, 'must be greater than or equal to 0'));
  }
  if (errors.length > 0) throw invalidError(LIST_OPTIONS, '', errors);
}

/** The revision that a text names; undefined for none. @throws ApiStatusError made by `error` */
function parseVersion(text: string | undefined, error: (why: string) => ApiStatusError): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text)) throw error(notANumber('ParseUint', text));
  return Number(text);
}

/** What Go says of a text that is no number. */
export function notANumber(parser: 'ParseInt' | 'ParseUint', text: string): string {
  return `strconv.${parser}: parsing ${JSON.stringify(text)}: invalid syntax`;
}

export function listVersion(text: string | undefined): number | undefined {
  return parseVersion(text, (why) => badRequest(`invalid resource version: ${versionError(text, why)}`));
}

export function watchVersion(text: string | undefined): number | undefined {
  return parseVersion(text, (why) => unclassified(versionError(text, why)));
}

export function writeVersion(text: string | undefined): number | undefined {
  return parseVersion(text, unclassified);
}

function versionError(text: string | undefined, why: string): string {
  return `resourceVersion: Invalid value: ${JSON.stringify(text)}: ${why}`;
}

interface ContinueToken {
  readonly revision: number;
  /** The first key that is not served yet, below the list's namespace. */
  readonly start: string;
}

/** Upstream's form, so that a token looks familiar. Source: apiserver pkg/storage/continue.go */
export function encodeContinue({ revision, start }: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start })).toString('base64url');
}

/** @throws ApiStatusError 400 */
export function decodeContinue(text: string): ContinueToken {
  const decoded = Buffer.from(text, 'base64url').toString('utf8');
  let token: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    token = JSON.parse(decoded) as typeof token;
  } catch {
    const found = [...Buffer.from(text, 'base64url').toString('latin1')][0];
    const why =
      found === undefined
        ? 'unexpected end of JSON input'
        : `invalid character '${found}' looking for beginning of value`;
    throw badRequest(`invalid continue token: continue key is not valid: ${why}`);
  }
  if (token.v !== 'meta.k8s.io/v1') {
    throw badRequest(
      `invalid continue token: continue key is not valid: server does not recognize this encoded version ${JSON.stringify(token.v ?? '')}`,
    );
  }
  if (typeof token.rv !== 'number' || token.rv <= 0) {
    throw badRequest(
      'invalid continue token: continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)',
    );
  }
  if (typeof token.start !== 'string' || token.start === '') {
    throw badRequest(
      'invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)',
    );
  }
  return { revision: token.rv, start: token.start };
}
