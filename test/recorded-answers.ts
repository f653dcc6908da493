import { readFileSync } from 'node:fs';
import type { KubeObject, Resource } from '../src/api/resources.ts';
import * as resources from '../src/api/resources.ts';

/** A request that was sent to Kubernetes 1.36, and its answer (test/data/README.md). */
export interface RecordedAnswer {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON, or text that is none. */
  // biome-ignore lint/suspicious/noExplicitAny: recorded JSON of many kinds
  readonly body?: any;
  readonly code: number;
  readonly warning?: readonly string[];
  // biome-ignore lint/suspicious/noExplicitAny: recorded JSON of many kinds
  readonly answer: any;
}

const file = new URL('data/kubernetes-answers.json', import.meta.url);

/** All of them, in the order sent. Made anew each time, so that a test may change them. */
export function recordedAnswers(): RecordedAnswer[] {
  return JSON.parse(readFileSync(file, 'utf8')) as RecordedAnswer[];
}

/** The one of this name. */
export function recordedAnswer(name: string): RecordedAnswer {
  const found = recordedAnswers().find((answer) => answer.name === name);
  if (!found) throw new Error(`no recorded answer ${name}`);
  return found;
}

/** The resource that a request concerns, by its path; undefined for subresources and what src/api/resources.ts lacks. */
export function resourceOfPath(path: string): Resource | undefined {
  const match =
    /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)(?:\/namespaces\/[^/]+(?=\/[a-z]))?\/([a-z]+)(?:\/[^/?]+)?(?:\?.*)?$/.exec(
      path,
    );
  if (!match) return undefined;
  const [, group = '', plural] = match;
  return Object.values(resources).find(
    (value): value is Resource => typeof value === 'object' && value.plural === plural && value.group === group,
  );
}

/** The namespace in a request's path. */
export function namespaceOfPath(path: string): string | undefined {
  return /\/namespaces\/([^/?]+)\//.exec(path)?.[1];
}

/** What the server adds to a new object beyond decoding and defaulting. */
export function withoutServerMetadata<T extends KubeObject>(object: T): T {
  const { uid, resourceVersion, creationTimestamp, generation, managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
}
