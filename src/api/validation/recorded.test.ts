import { describe, expect, test } from 'vitest';
import {
  namespaceOfPath,
  type RecordedAnswer,
  recordedAnswer,
  recordedAnswers,
  resourceOfPath,
} from '../../../test/recorded-answers.ts';
import { decodeObject } from '../decode.ts';
import { applyDefaults } from '../defaults.ts';
import type { Status } from '../generated/types.ts';
import { applyPatch, type PatchBodyType } from '../patch.ts';
import type { KubeObject, Resource } from '../resources.ts';
import { invalidError } from './field-error.ts';
import { validate, validateUpdate } from './validate.ts';

/** Refusals that need to know what else there is; the API server's own tests have them. */
const NEED_STATE = new Set([
  'service node port out of range',
  'service node port taken',
  'service ip out of range',
  'service ip taken',
]);

function decoded(resource: Resource, value: unknown, path: string): KubeObject {
  const object = applyDefaults(resource, decodeObject(resource, value).object);
  const namespace = namespaceOfPath(path);
  if (namespace) object.metadata.namespace ??= namespace;
  return object;
}

/** The invalid pods were recorded in short: reason, message, and the causes sorted. */
function inShort(status: Status): unknown {
  const causes = status.details?.causes?.map(({ field, reason, message }) => [field, reason, message]);
  return { reason: status.reason, message: status.message, causes: causes?.sort() };
}

const refused = recordedAnswers().filter(
  ({ name, method, code, path, answer }) =>
    method === 'POST' &&
    code === 422 &&
    resourceOfPath(path) !== undefined &&
    !answer.message.includes('Options.meta.k8s.io') &&
    !NEED_STATE.has(name),
);

describe('recorded refusals of creation', () => {
  test.each(refused.map((answer) => [answer.name, answer] as const))('%s', (_name, { path, body, code, answer }) => {
    const resource = resourceOfPath(path)!;
    const object = decoded(resource, body, path);
    const status = invalidError(resource, object.metadata.name ?? '', validate(resource, object)).toStatus();
    expect(status.code).toBe(code);
    if (answer.kind === 'Status') expect(status).toEqual(answer);
    else expect(inShort(status)).toEqual(answer);
  });

  test('these are the recorded invalid pods, and more', () => {
    expect(refused.filter(({ name }) => name.startsWith('pod: ')).length).toBe(40);
    expect(refused.length).toBeGreaterThanOrEqual(47);
  });
});

test('recorded creations pass', () => {
  for (const { method, code, path, body } of recordedAnswers()) {
    const resource = resourceOfPath(path);
    if (method !== 'POST' || code !== 201 || !resource) continue;
    const object = decoded(resource, body, path);
    if (object.metadata.generateName) object.metadata.name ??= `${object.metadata.generateName}x`;
    expect(validate(resource, object)).toEqual([]);
  }
});

/** Applies a recorded patch to what was stored before and judges the result. */
function patched(before: KubeObject, { path, headers, body }: RecordedAnswer) {
  const resource = resourceOfPath(path)!;
  const type = /application\/(json|merge|strategic-merge)-patch/.exec(headers!['Content-Type']!)![1]!;
  const result = applyPatch(type.replace('-merge', '') as PatchBodyType, resource, before, body);
  const object = applyDefaults(resource, decodeObject(resource, result).object);
  return { resource, object, errors: validateUpdate(resource, object, before) };
}

describe('recorded changes', () => {
  test.each([
    ['pod create', 'pod image change'],
    ['pod image change', 'pod label strategic'],
    ['put ok', 'json patch'],
    ['json patch', 'merge patch'],
    ['finalizer delete', 'finalizer remove'],
  ])('after %s: %s passes', (before, change) => {
    const recorded = recordedAnswer(change);
    const { object, errors } = patched(recordedAnswer(before).answer, recorded);
    expect(errors).toEqual([]);
    for (const part of ['spec', 'data'] as const) {
      expect((object as unknown as Record<string, unknown>)[part]).toEqual(recorded.answer[part]);
    }
    expect(object.metadata.labels).toEqual(recorded.answer.metadata.labels);
    expect(object.metadata.finalizers).toEqual(recorded.answer.metadata.finalizers);
  });

  test.each([
    ['pod image change', 'pod command change'],
    ['pod image change', 'pod add container'],
    ['immutable create', 'immutable change'],
    ['secret stringData', 'secret type change'],
    ['service', 'service ip change'],
    ['finalizer delete', 'finalizer add while deleting'],
  ])('after %s: %s is refused', (before, change) => {
    const recorded = recordedAnswer(change);
    const { resource, object, errors } = patched(recordedAnswer(before).answer, recorded);
    expect(invalidError(resource, object.metadata.name!, errors).toStatus()).toEqual(recorded.answer);
  });
});
