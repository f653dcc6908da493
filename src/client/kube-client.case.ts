import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConfigMap, Pod } from '../api/generated/types.ts';
import { CONFIGMAPS, EVENTS, LEASES, NAMESPACES, PODS, type Resource } from '../api/resources.ts';
import { ApiStatusError } from '../api/status-error.ts';
import type { KubeClient, WatchEvent } from './kube-client.ts';

/**
 * What every KubeClient does, whatever lies between it and the API server. `start` gives a client of an empty server with the
 * usual namespaces.
 */
export function kubeClientCases(
  name: string,
  start: () => Promise<{ client: KubeClient; stop(): Promise<void> }>,
): void {
  describe(name, () => {
    let client: KubeClient;
    let stop: () => Promise<void>;
    beforeAll(async () => {
      ({ client, stop } = await start());
    });
    afterAll(() => stop());

    const namespace = 'default';
    const configMap = (name: string, data?: Record<string, string>): ConfigMap => ({
      metadata: { name, namespace, labels: { case: 'yes' } },
      ...(data ? { data } : {}),
    });
    const reject = async (promise: Promise<unknown>): Promise<ApiStatusError> => {
      const error = await promise.then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(ApiStatusError);
      return error as ApiStatusError;
    };

    test('create, get, update, delete', async () => {
      const made = await client.create(CONFIGMAPS, configMap('life', { a: '1' }));
      expect(made).toMatchObject({
        kind: 'ConfigMap',
        apiVersion: 'v1',
        metadata: { name: 'life', namespace },
        data: { a: '1' },
      });
      expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
      const key = { namespace, name: 'life' };
      expect(await client.get(CONFIGMAPS, key)).toEqual(made);
      const changed = await client.update(CONFIGMAPS, { ...made, data: { a: '2' } });
      expect(changed.data).toEqual({ a: '2' });
      expect(Number(changed.metadata.resourceVersion)).toBeGreaterThan(Number(made.metadata.resourceVersion));
      expect(await client.delete(CONFIGMAPS, key)).toBeUndefined();
      expect((await reject(client.get(CONFIGMAPS, key))).reason).toBe('NotFound');
    });

    test('the object that is given stays as it is', async () => {
      const given = Object.freeze({ ...configMap('kept'), metadata: Object.freeze({ name: 'kept', namespace }) });
      await client.create(CONFIGMAPS, given);
      expect(given).toEqual({ metadata: { name: 'kept', namespace } });
    });

    test('errors are the Statuses of the server', async () => {
      await client.create(CONFIGMAPS, configMap('twice'));
      const exists = await reject(client.create(CONFIGMAPS, configMap('twice')));
      expect(exists).toMatchObject({
        code: 409,
        reason: 'AlreadyExists',
        details: { name: 'twice', kind: 'configmaps' },
      });
      expect(exists.message).toBe('configmaps "twice" already exists');
      const stale = { ...configMap('twice'), metadata: { name: 'twice', namespace, resourceVersion: '1' } };
      expect((await reject(client.update(CONFIGMAPS, stale))).reason).toBe('Conflict');
      const invalid = await reject(
        client.create(PODS, { metadata: { name: 'X', namespace }, spec: { containers: [] } }),
      );
      expect(invalid.details?.causes?.map(({ field }) => field)).toEqual(['metadata.name', 'spec.containers']);
      const none = { group: '', version: 'v1', plural: 'nopes', kind: 'Nope', namespaced: false } as Resource;
      expect((await reject(client.get(none, { name: 'x' }))).code).toBe(404);
    });

    test('patches', async () => {
      await client.create(CONFIGMAPS, configMap('patched', { a: '1' }));
      const key = { namespace, name: 'patched' };
      await client.patch(CONFIGMAPS, key, 'merge', { data: { b: '2' } });
      await client.patch(CONFIGMAPS, key, 'json', [{ op: 'remove', path: '/data/a' }]);
      const last = await client.patch(CONFIGMAPS, key, 'strategic', { data: { c: '3' } });
      expect(last.data).toEqual({ b: '2', c: '3' });
      expect((await reject(client.patch(CONFIGMAPS, key, 'apply', {}, { fieldManager: 'x' }))).code).toBe(415);
    });

    test('lists: selectors, pages, all namespaces', async () => {
      for (const name of ['l1', 'l2', 'l3']) {
        await client.create(CONFIGMAPS, { metadata: { name, namespace, labels: { list: name } } });
      }
      const labelSelector = 'list in (l1,l2,l3)';
      const all = await client.list(CONFIGMAPS, { labelSelector });
      expect(all.items.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
        'ConfigMap l1',
        'ConfigMap l2',
        'ConfigMap l3',
      ]);
      const first = await client.list(CONFIGMAPS, { namespace, labelSelector, limit: 2 });
      expect(first.items).toHaveLength(2);
      await client.delete(CONFIGMAPS, { namespace, name: 'l3' });
      const rest = await client.list(CONFIGMAPS, {
        namespace,
        labelSelector,
        limit: 2,
        continue: first.metadata.continue,
      });
      expect(rest.items.map(({ metadata }) => metadata.name)).toEqual(['l3']);
      expect(rest.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
      expect((await client.list(CONFIGMAPS, { namespace: 'kube-system', labelSelector })).items).toEqual([]);
      expect((await client.list(CONFIGMAPS, { fieldSelector: 'metadata.name=l1' })).items).toHaveLength(1);
    });

    test('a watch tells what happens after a version, in order, and ends when it is aborted', async () => {
      const { resourceVersion } = (await client.list(CONFIGMAPS)).metadata;
      const object = await client.create(CONFIGMAPS, configMap('seen', { a: '1' }));
      const abort = new AbortController();
      const seen: string[] = [];
      for await (const event of client.watch(CONFIGMAPS, { namespace, resourceVersion, signal: abort.signal })) {
        seen.push(describeEvent(event));
        if (event.type === 'ADDED') await client.update(CONFIGMAPS, { ...object, data: { a: '2' } });
        if (event.type === 'MODIFIED') await client.delete(CONFIGMAPS, { namespace, name: 'seen' });
        if (event.type === 'DELETED') abort.abort();
      }
      expect(seen).toEqual(['ADDED seen', 'MODIFIED seen', 'DELETED seen']);
    });

    test('a watch without a version begins with what there is', async () => {
      await client.create(CONFIGMAPS, configMap('there'));
      const abort = new AbortController();
      const options = { namespace, fieldSelector: 'metadata.name=there', signal: abort.signal };
      for await (const event of client.watch(CONFIGMAPS, options)) {
        expect(describeEvent(event)).toBe('ADDED there');
        break;
      }
    });

    test('an object that ceases to match a selector is told as deleted', async () => {
      await client.create(CONFIGMAPS, configMap('leaves'));
      const abort = new AbortController();
      const key = { namespace, name: 'leaves' };
      const options = { labelSelector: 'case=yes', fieldSelector: 'metadata.name=leaves', signal: abort.signal };
      const seen: string[] = [];
      for await (const event of client.watch(CONFIGMAPS, options)) {
        seen.push(describeEvent(event));
        if (event.type === 'ADDED' && seen.length === 1) {
          await client.patch(CONFIGMAPS, key, 'merge', { metadata: { labels: { case: 'no' } } });
        } else if (event.type === 'DELETED') {
          expect((event.object as ConfigMap).metadata.labels).toEqual({ case: 'yes' });
          await client.patch(CONFIGMAPS, key, 'merge', { metadata: { labels: { case: 'yes' } } });
        } else abort.abort();
      }
      expect(seen).toEqual(['ADDED leaves', 'DELETED leaves', 'ADDED leaves']);
    });

    test('a signal that is aborted already ends a watch at once', async () => {
      for await (const _ of client.watch(CONFIGMAPS, { signal: AbortSignal.abort() })) expect.unreachable();
    });

    test('many watchers each see everything', async () => {
      const { resourceVersion } = (await client.list(CONFIGMAPS)).metadata;
      const read = async (): Promise<string[]> => {
        const abort = new AbortController();
        const seen: string[] = [];
        const options = { namespace, labelSelector: 'many', resourceVersion, signal: abort.signal };
        for await (const event of client.watch(CONFIGMAPS, options)) {
          seen.push(describeEvent(event));
          if (seen.length === 20) abort.abort();
        }
        return seen;
      };
      const readers = [read(), read(), read()];
      for (let i = 0; i < 20; i++) {
        await client.create(CONFIGMAPS, {
          metadata: { generateName: 'many-', namespace, labels: { many: String(i) } },
        });
      }
      const [first, ...others] = await Promise.all(readers);
      expect(new Set(first).size).toBe(20);
      for (const other of others) expect(other).toEqual(first);
    });

    test('status is written apart from the spec', async () => {
      const pod: Pod = {
        metadata: { name: 'p', namespace },
        spec: { nodeName: 'n', containers: [{ name: 'c', image: 'x' }] },
      };
      const made = await client.create(PODS, { ...pod, status: { phase: 'Running' } });
      expect(made.status).toEqual({ phase: 'Pending', qosClass: 'BestEffort' });
      const running = await client.update(PODS, { ...made, status: { phase: 'Running' } }, { subresource: 'status' });
      expect(running.status).toMatchObject({ phase: 'Running' });
      expect(running.spec).toEqual(made.spec);
      const patched = await client.patch(
        PODS,
        { namespace, name: 'p' },
        'strategic',
        { metadata: { labels: { a: 'b' } }, status: { phase: 'Failed' } },
        { subresource: 'status' },
      );
      expect(patched.status?.phase).toBe('Failed');
      expect(patched.metadata.labels).toEqual({ a: 'b' });
    });

    test('a pod is deleted gracefully, and for good by whoever ran it', async () => {
      const key = { namespace, name: 'grace' };
      const spec = { nodeName: 'n', containers: [{ name: 'c', image: 'x' }], terminationGracePeriodSeconds: 7 };
      const { metadata } = await client.create(PODS, { metadata: key, spec });
      const marked = await client.delete(PODS, key);
      expect(marked?.metadata).toMatchObject({ deletionGracePeriodSeconds: 7, uid: metadata.uid });
      const wrong = client.delete(PODS, key, { gracePeriodSeconds: 0, preconditions: { uid: 'other' } });
      expect((await reject(wrong)).reason).toBe('Conflict');
      await client.delete(PODS, key, { gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } });
      expect((await reject(client.get(PODS, key))).code).toBe(404);
    });

    test('dry run changes nothing', async () => {
      const { resourceVersion } = (await client.list(CONFIGMAPS)).metadata;
      const made = await client.create(CONFIGMAPS, configMap('dry'), { dryRun: true });
      expect(made.metadata.uid).toBeDefined();
      expect((await client.list(CONFIGMAPS)).metadata.resourceVersion).toBe(resourceVersion);
    });

    test('warnings are told, of what is refused, too; strict refuses', async () => {
      const warnings: string[] = [];
      const odd = { ...configMap('odd'), dta: { 'ü "quoted"': 'x' } } as ConfigMap;
      await client.create(CONFIGMAPS, odd, { onWarning: (text) => warnings.push(text) });
      expect(warnings).toEqual(['unknown field "dta"']);
      const strict = client.create(
        CONFIGMAPS,
        { ...odd, metadata: { name: 'odd2', namespace } },
        { fieldValidation: 'Strict' },
      );
      expect((await reject(strict)).message).toMatch(/strict decoding error: unknown field "dta"$/);
      warnings.length = 0;
      const invalid = { ...odd, metadata: { name: 'odd3', namespace }, data: { 'no key': 'x' } };
      await reject(client.create(CONFIGMAPS, invalid, { onWarning: (text) => warnings.push(text) }));
      expect(warnings).toEqual(['unknown field "dta"']);
    });

    test('cluster-wide objects, other groups, another version of the same resource', async () => {
      const made = await client.create(NAMESPACES, { metadata: { name: 'room' }, spec: {} });
      expect(made.status).toEqual({ phase: 'Active' });
      await client.create(LEASES, { metadata: { name: 'lease', namespace: 'room' }, spec: { holderIdentity: 'me' } });
      expect((await client.get(LEASES, { namespace: 'room', name: 'lease' })).apiVersion).toBe(
        'coordination.k8s.io/v1',
      );
      const involvedObject = { kind: 'Pod', namespace: 'room', name: 'p' };
      await client.create(EVENTS, { metadata: { name: 'e', namespace: 'room' }, involvedObject, message: 'hello' });
      const eventsV1 = { ...EVENTS, group: 'events.k8s.io' } as Resource;
      const shown = await client.get(eventsV1, { namespace: 'room', name: 'e' });
      expect(shown).toMatchObject({ apiVersion: 'events.k8s.io/v1', note: 'hello', regarding: involvedObject });
      const { items } = await client.list(eventsV1, { namespace: 'room' });
      expect(items[0]).toMatchObject({ apiVersion: 'events.k8s.io/v1', note: 'hello' });
      const gone = await client.delete(NAMESPACES, { name: 'room' });
      expect(gone?.status?.phase).toBe('Terminating');
      expect((await reject(client.get(LEASES, { namespace: 'room', name: 'lease' }))).code).toBe(404);
      expect((await reject(client.get(NAMESPACES, { name: 'room' }))).code).toBe(404);
    });
  });
}

function describeEvent<T extends { metadata: { name?: string } }>(event: WatchEvent<T>): string {
  return event.type === 'ERROR' ? `ERROR ${event.object.message}` : `${event.type} ${event.object.metadata.name}`;
}
