import type { FieldValidation } from '../../api/decode.ts';
import type { DeleteOptions } from '../../api/generated/types.ts';
import {
  type FieldError,
  forbidden,
  invalid,
  invalidError,
  notSupported,
  tooLong,
} from '../../api/validation/field-error.ts';
import { badRequest } from '../registry/api-errors.ts';
import { notANumber, type ReadOptions } from '../registry/list-options.ts';
import { isTrue } from './request-info.ts';

const MAX_FIELD_MANAGER = 128;

/** Options that come in the query string. Rules: apimachinery pkg/apis/meta/v1/validation */
export function readOptions(query: URLSearchParams, namespace: string | undefined): ReadOptions {
  const text = (name: string): string | undefined => query.get(name) ?? undefined;
  return {
    namespace,
    labelSelector: text('labelSelector'),
    fieldSelector: text('fieldSelector'),
    resourceVersion: text('resourceVersion'),
    resourceVersionMatch: text('resourceVersionMatch'),
    limit: integer(query, 'limit'),
    continue: text('continue'),
    sendInitialEvents: query.has('sendInitialEvents') ? isTrue(query.get('sendInitialEvents')) : undefined,
  };
}

/** A whole number of the query. @throws ApiStatusError 400 */
export function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^[-+]?\d{1,15}$/.test(text)) throw badRequest(notANumber('ParseInt', text));
  return Number(text);
}

export interface WriteQuery {
  readonly dryRun: boolean;
  readonly fieldValidation: FieldValidation | undefined;
}

/** @throws ApiStatusError 422 */
export function writeOptions(
  query: URLSearchParams,
  kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
): WriteQuery {
  const errors: FieldError[] = [];
  if (kind === 'PatchOptions' && query.has('force')) {
    errors.push(forbidden('force', 'may not be specified for non-apply patch'));
  }
  if (Buffer.byteLength(query.get('fieldManager') ?? '') > MAX_FIELD_MANAGER) {
    errors.push(tooLong('fieldManager', MAX_FIELD_MANAGER));
  }
  const dryRun = query.getAll('dryRun');
  if (dryRun.some((value) => value !== 'All')) errors.push(notSupported('dryRun', dryRun, ['All']));
  const fieldValidation = query.get('fieldValidation') ?? '';
  if (!['', 'Ignore', 'Strict', 'Warn'].includes(fieldValidation)) {
    errors.push(notSupported('fieldValidation', fieldValidation, ['', 'Ignore', 'Strict', 'Warn']));
  }
  refuse(kind, errors);
  return { dryRun: dryRun.length > 0, fieldValidation: (fieldValidation as FieldValidation) || undefined };
}

/**
 * A deletion's options: the body's if there is one, else the query's.
 * @param body the decoded body
 * @throws ApiStatusError 400, 422
 */
export function deleteOptions(query: URLSearchParams, body: DeleteOptions | undefined): DeleteOptions {
  const options: DeleteOptions = body ?? fromQuery(query);
  const errors: FieldError[] = [];
  const { propagationPolicy: policy, orphanDependents, dryRun = [] } = options;
  if (policy !== undefined && orphanDependents !== undefined) {
    errors.push(invalid('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'));
  }
  if (policy !== undefined && !['Foreground', 'Background', 'Orphan'].includes(policy)) {
    errors.push(notSupported('propagationPolicy', policy, ['Foreground', 'Background', 'Orphan', 'nil']));
  }
  if (dryRun.some((value) => value !== 'All')) errors.push(notSupported('dryRun', dryRun, ['All']));
  refuse('DeleteOptions', errors);
  return options;
}

function fromQuery(query: URLSearchParams): DeleteOptions {
  const grace = integer(query, 'gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  const dryRun = query.getAll('dryRun');
  return {
    ...(grace === undefined ? {} : { gracePeriodSeconds: grace }),
    ...(policy ? { propagationPolicy: policy } : {}),
    ...(query.has('orphanDependents') ? { orphanDependents: isTrue(query.get('orphanDependents')) } : {}),
    ...(dryRun.length > 0 ? { dryRun } : {}),
  };
}

function refuse(kind: string, errors: FieldError[]): void {
  if (errors.length > 0) throw invalidError({ group: 'meta.k8s.io', kind }, '', errors);
}
