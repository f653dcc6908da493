import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startTestServer, type TestServer } from '../../../test/start-test-server.ts';
import type { ConfigMap, Node, Pod } from '../../api/generated/types.ts';
import { CONFIGMAPS, NODES, PODS } from '../../api/resources.ts';

const MAPS = '/api/v1/namespaces/kube-public/configmaps';

let server: TestServer;
const open = new Set<TLSSocket>();
beforeAll(async () => {
  server = await startTestServer();
});
afterEach(() => {
  for (const socket of open) socket.destroy();
  open.clear();
});
afterAll(() => server.close());

/** A connection on which the test speaks HTTP itself. */
async function dial(): Promise<TLSSocket> {
  const { ca, cert, key } = server.admin;
  const socket = connect({ host: '127.0.0.1', port: server.port, ca, cert, key });
  socket.on('error', () => {});
  open.add(socket);
  await once(socket, 'secureConnect');
  return socket;
}

/** Collects what arrives; resolves with everything so far as soon as `done` says that it is enough. */
function reader(socket: TLSSocket): (done: (text: string) => boolean) => Promise<string> {
  let text = '';
  let check = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    check();
  });
  return (done) =>
    new Promise((resolve) => {
      check = () => {
        if (done(text)) resolve(text);
      };
      socket.on('close', () => resolve(text));
      check();
    });
}

/** The head of the answer: whatever comes then is seen by a watch. */
const head = (text: string): boolean => text.includes('\r\n\r\n');

const createMap = (name: string, data?: Record<string, string>): Promise<ConfigMap> =>
  server.client.create(CONFIGMAPS, { metadata: { name, namespace: 'kube-public' }, ...(data ? { data } : {}) });

/** The events of a watch, until it has sent so many. */
async function watch(
  query: string,
  count: number,
  meanwhile: () => Promise<unknown> = async () => {},
  accept = 'application/json',
) {
  const socket = await dial();
  socket.write(`GET ${MAPS}?watch=1&${query} HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\n\r\n`);
  const lines = (text: string): string[] => text.split('\r\n').filter((line) => line.startsWith('{'));
  const until = reader(socket);
  await until(head);
  await meanwhile();
  return lines(await until((text) => lines(text).length >= count)).map((line) => JSON.parse(line));
}

test('a watch with initial events ends them with a bookmark', async () => {
  const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const [added, bookmark, later] = await watch(query, 3, () => createMap('later'));
  expect(added).toMatchObject({ type: 'ADDED', object: { kind: 'ConfigMap', metadata: { name: 'kube-root-ca.crt' } } });
  expect(bookmark).toEqual({
    type: 'BOOKMARK',
    object: {
      kind: 'ConfigMap',
      apiVersion: 'v1',
      metadata: { resourceVersion: expect.any(String), annotations: { 'k8s.io/initial-events-end': 'true' } },
    },
  });
  expect(later).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'later' } } });
});

test('who watches metadata only gets bookmarks of the same type', async () => {
  const query =
    'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dnone';
  const accept = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
  const [bookmark] = await watch(query, 1, undefined, accept);
  const object = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' };
  expect(bookmark).toMatchObject({ type: 'BOOKMARK', object });
});

test('a quiet watch gets a bookmark every minute when it wants them', async () => {
  const { resourceVersion } = (await server.client.list(CONFIGMAPS)).metadata;
  const query = `resourceVersion=${resourceVersion}&allowWatchBookmarks=true`;
  const [bookmark] = await watch(query, 1, () => server.clock.advance(60_000));
  expect(bookmark).toMatchObject({ type: 'BOOKMARK', object: { metadata: { resourceVersion } } });
});

test('a table of service accounts is of names and ages; what rows carry must be known', async () => {
  const path = '/api/v1/namespaces/default/serviceaccounts';
  const headers = { Accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' };
  const { columnDefinitions } = JSON.parse((await server.ask(path, { headers })).text);
  expect(columnDefinitions.map(({ name }: { name: string }) => name)).toEqual(['Name', 'Age']);
  const { code, text } = await server.ask(`${path}?includeObject=Bad`, { headers });
  expect([code, JSON.parse(text).message]).toEqual([
    400,
    `Unable to convert to Table as requested: includeObject: Invalid value: "Bad": must be 'Metadata', 'Object', 'None', or empty`,
  ]);
});

test('a watch of tables names its columns once', async () => {
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const [first, second] = await watch(
    'fieldSelector=metadata.name%3Dkube-root-ca.crt',
    2,
    async () => {
      const key = { namespace: 'kube-public', name: 'kube-root-ca.crt' };
      await server.client.patch(CONFIGMAPS, key, 'merge', { data: { more: 'x' } });
    },
    accept,
  );
  expect(first).toMatchObject({
    type: 'ADDED',
    object: { kind: 'Table', rows: [{ cells: ['kube-root-ca.crt', 1, expect.any(String)] }] },
  });
  expect(first.object.columnDefinitions).toHaveLength(3);
  expect(second).toMatchObject({
    type: 'MODIFIED',
    object: { columnDefinitions: null, rows: [{ cells: ['kube-root-ca.crt', 2, expect.any(String)] }] },
  });
});

test('a watcher that does not read is cut off, and the writer never waits for it', async () => {
  const socket = await dial();
  socket.write(`GET ${MAPS}?watch=1&resourceVersion=0 HTTP/1.1\r\nHost: x\r\n\r\n`);
  await reader(socket)(head);
  socket.pause();
  const made = await createMap('big');
  const data = { x: 'x'.repeat(900_000) };
  for (let i = 0; i < 40; i++)
    await server.client.update(CONFIGMAPS, {
      ...made,
      metadata: { name: 'big', namespace: 'kube-public' },
      data: { ...data, i: String(i) },
    });
  const closed = once(socket, 'close');
  socket.resume();
  await closed;
});

test('a list is written from the texts that are kept', async () => {
  const { text } = await server.ask(`${MAPS}?fieldSelector=metadata.name=later`);
  const stored = await server.client.get(CONFIGMAPS, { namespace: 'kube-public', name: 'later' });
  const { kind: _, apiVersion: __, ...item } = stored;
  expect(JSON.parse(text).items).toEqual([item]);
});

test('a body that is too large is refused', async () => {
  const body = { metadata: { name: 'huge' }, data: { x: 'x'.repeat(4 << 20) } };
  const answer = await server.ask(MAPS, { method: 'POST', body });
  expect(answer.code).toBe(413);
  expect(JSON.parse(answer.text)).toMatchObject({
    reason: 'RequestEntityTooLarge',
    message: 'Request entity too large: limit is 3145728',
  });
});

test('a YAML body', async () => {
  const body = 'metadata:\n  name: from-yaml\ndata:\n  a: "1"\n';
  const answer = await server.ask(MAPS, { method: 'POST', headers: { 'Content-Type': 'application/yaml' }, body });
  expect(answer.code).toBe(201);
  const bad = await server.ask(MAPS, { method: 'POST', headers: { 'Content-Type': 'application/yaml' }, body: 'a: [' });
  expect(bad.code).toBe(400);
});

test.each<[string, number]>([
  ['/healthz', 200],
  ['/version', 200],
  ['/api', 403],
  ['/nope', 403],
  ['/api/v1/namespaces/default/pods/p/log', 403],
])('anonymous: %s is %d', async (path, code) => {
  expect((await server.ask(path, { anonymous: true })).code).toBe(code);
});

test.each<[method: string, path: string, code: number, message: unknown]>([
  [
    'POST',
    `${MAPS}?fieldManager=${'x'.repeat(129)}`,
    422,
    'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
  ],
  [
    'PATCH',
    `${MAPS}/kube-root-ca.crt?force=true`,
    422,
    'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
  ],
  [
    'GET',
    `${MAPS}/kube-root-ca.crt?resourceVersion=999999`,
    504,
    expect.stringMatching(/^Timeout: Too large resource version: 999999, current: \d+$/),
  ],
  [
    'GET',
    `${MAPS}/kube-root-ca.crt?resourceVersion=x`,
    500,
    'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax',
  ],
])('%s %s is %d', async (method, path, code, message) => {
  const headers = { 'Content-Type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' };
  const answer = await server.ask(path, { method, headers, ...(method === 'GET' ? {} : { body: {} }) });
  expect([answer.code, JSON.parse(answer.text).message]).toEqual([code, message]);
});

test('a page is asked for by its token alone', async () => {
  await createMap('page');
  const first = JSON.parse((await server.ask(`${MAPS}?limit=1`)).text);
  const next = `${MAPS}?limit=1&continue=${first.metadata.continue}`;
  const both = await server.ask(`${next}&resourceVersion=${first.metadata.resourceVersion}`);
  expect([both.code, JSON.parse(both.text).message]).toEqual([
    400,
    'specifying resource version is not allowed when using continue',
  ]);
  expect((await server.ask(`${next}&resourceVersion=0`)).code).toBe(200);
});

test.each([
  ['sinceTime=abc', 400, 'parsing time "abc" as "2006-01-02T15:04:05Z07:00": cannot parse "abc" as "2006"'],
  ['stream=Foo', 422, 'PodLogOptions "logs" is invalid: stream: Forbidden: may not be specified'],
])('logs with %s', async (query, code, message) => {
  await server.client
    .create(PODS, {
      metadata: { name: 'logs', namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'x' }] },
    })
    .catch(() => {});
  const answer = await server.ask(`/api/v1/namespaces/default/pods/logs/log?${query}`);
  expect([answer.code, JSON.parse(answer.text).message]).toEqual([code, message]);
});

test('an eviction is told in the pod, and is of the pod that it names', async () => {
  const pod = { metadata: { name: 'e' }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'x' }] } };
  const path = '/api/v1/namespaces/default/pods';
  await server.ask(path, { method: 'POST', body: pod });
  const evict = async (body: object) => {
    const { code, text } = await server.ask(`${path}/e/eviction`, { method: 'POST', body });
    return [code, JSON.parse(text).message];
  };
  const read = async () => JSON.parse((await server.ask(`${path}/e`)).text);
  const mismatch = [400, 'name in URL does not match name in Eviction object'];
  expect(await evict({})).toEqual(mismatch);
  expect(await evict({ metadata: { name: 'f' } })).toEqual(mismatch);
  const metadata = { name: 'e' };
  expect(await evict({ metadata, deleteOptions: { preconditions: { uid: 'x' } } })).toMatchObject([409, {}]);
  expect(await evict({ metadata, deleteOptions: { dryRun: ['All'] } })).toEqual([201, undefined]);
  const before = await read();
  expect(before.status.conditions).toBeUndefined();
  const { resourceVersion } = before.metadata;
  const deleteOptions = { gracePeriodSeconds: 7, preconditions: { resourceVersion } };
  expect(await evict({ metadata, deleteOptions })).toEqual([201, undefined]);
  expect(await read()).toMatchObject({
    metadata: { deletionGracePeriodSeconds: 7 },
    status: {
      conditions: [
        {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'EvictionByEvictionAPI',
          message: 'Eviction API: evicting',
          lastTransitionTime: expect.any(String),
        },
      ],
    },
  });
});

test('a binding is of the pod that it names', async () => {
  const path = '/api/v1/namespaces/default/pods/none/binding';
  const body = { metadata: { name: 'other' }, target: { kind: 'Node', name: 'n' } };
  const { code, text } = await server.ask(path, { method: 'POST', body });
  expect([code, JSON.parse(text).message]).toEqual([400, 'name in URL does not match name in Binding object']);
});

test('a PUT of what has gone in the meantime makes it anew, whatever version it had', async () => {
  const path = '/apis/coordination.k8s.io/v1/namespaces/default/leases/gone';
  const body = { metadata: { name: 'gone', resourceVersion: '5' }, spec: { holderIdentity: 'me' } };
  const { code, text } = await server.ask(path, { method: 'PUT', body });
  expect([code, JSON.parse(text).spec]).toEqual([201, body.spec]);
});

test('ephemeral containers are refused by name', async () => {
  await server.client.create(PODS, {
    metadata: { name: 'p', namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'x' }] },
  });
  const path = '/api/v1/namespaces/default/pods/p/ephemeralcontainers';
  expect((await server.ask(path)).code).toBe(200);
  const headers = { 'Content-Type': 'application/strategic-merge-patch+json' };
  const answer = await server.ask(path, { method: 'PATCH', headers, body: { spec: { ephemeralContainers: [] } } });
  expect(answer.code).toBe(422);
  expect(answer.text).toContain('spec.ephemeralContainers');
});

test('who reports an event is kept, whichever version of the API it came through', async () => {
  const path = '/apis/events.k8s.io/v1/namespaces/default/events';
  const body = {
    metadata: { name: 'reported' },
    regarding: { kind: 'Pod', namespace: 'default', name: 'p' },
    reason: 'R',
    action: 'A',
    type: 'Normal',
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'x.io/c',
    reportingInstance: 'i',
  };
  const { code, text } = await server.ask(path, { method: 'POST', body });
  expect([code, JSON.parse(text)]).toMatchObject([201, body]);
  const stored = JSON.parse((await server.ask('/api/v1/namespaces/default/events/reported')).text);
  expect(stored).toMatchObject({ reportingComponent: 'x.io/c', involvedObject: body.regarding });
  expect(stored.source).toEqual({});
  for (const other of ['reportingController', 'regarding', 'deprecatedSource'])
    expect(stored).not.toHaveProperty(other);
  const found = await server.ask(`${path}?fieldSelector=regarding.name%3Dp,reportingController%3Dx.io/c`);
  expect(JSON.parse(found.text).items).toHaveLength(1);
  const refused = await server.ask(path, { method: 'POST', body: { ...body, type: 'Bad' } });
  expect(JSON.parse(refused.text).message).toBe(
    'Event "reported" is invalid: type: Invalid value: "": has invalid value: Bad',
  );
});

test('the published schemas say that fields are validated here, and how lists merge', async () => {
  const index = JSON.parse((await server.ask('/openapi/v3')).text);
  expect(Object.keys(index.paths)).toEqual([
    'api/v1',
    'apis/events.k8s.io/v1',
    'apis/coordination.k8s.io/v1',
    'apis/discovery.k8s.io/v1',
  ]);
  const { text } = await server.ask(index.paths['api/v1'].serverRelativeURL);
  const document = JSON.parse(text);
  const { patch } = document.paths['/api/v1/namespaces/{namespace}/pods/{name}'];
  expect(patch['x-kubernetes-group-version-kind']).toEqual({ group: '', version: 'v1', kind: 'Pod' });
  expect(patch.parameters.map(({ name }: { name: string }) => name)).toContain('fieldValidation');
  const { schemas } = document.components;
  expect(schemas['io.k8s.api.core.v1.PodSpec'].properties.containers).toMatchObject({
    type: 'array',
    'x-kubernetes-patch-merge-key': 'name',
  });
  const refs = new Set([...text.matchAll(/#\/components\/schemas\/([^"]+)/g)].map(([, name]) => name!));
  expect([...refs].filter((name) => !(name in schemas))).toEqual([]);
  const protobuf = { Accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' };
  const v2 = await server.ask('/openapi/v2', { headers: protobuf });
  expect(v2.headers['content-type']).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
  expect(v2.text).toContain('fieldValidation');
});

test('a port that is taken is said in one sentence', async () => {
  const { startApiServer } = await import('../api-server.ts');
  const { FakeClock } = await import('../../lib/fake-clock.ts');
  const { SeededRandom } = await import('../../lib/random.ts');
  const { silentLogger } = await import('../../lib/logger.ts');
  const { mkdtempSync, rmSync } = await import('node:fs');
  const dir = mkdtempSync('/tmp/kubelette-port-');
  const options = {
    database: `${dir}/db`,
    pkiDir: `${dir}/pki`,
    clock: new FakeClock(),
    random: new SeededRandom(1),
    logger: silentLogger,
  };
  await expect(startApiServer({ ...options, port: server.port })).rejects.toThrow(
    `port ${server.port} on 127.0.0.1 is in use by another process`,
  );
  // Nothing was left open: the same database can be used.
  const second = await startApiServer({ ...options, port: 0 });
  await second.close();
  rmSync(dir, { recursive: true });
});

/** A kubelet that answers an upgrade and then echoes. */
async function startKubelet(): Promise<{ kubelet: Server; asked: string[] }> {
  const asked: string[] = [];
  const kubelet = createServer(
    {
      ...server.issueServingCert('system:node:n1', ['n1']),
      ca: server.ca,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      asked.push(`${request.method} ${request.url}`);
      if (request.url === '/unasked') {
        return void request.socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n');
      }
      response.end(`answer to ${request.url}`);
    },
  );
  kubelet.on('upgrade', (request, socket, head) => {
    asked.push(`${request.method} ${request.url} ${request.headers.upgrade} ${request.headers.authorization}`);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n');
    socket.write(head);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => kubelet.listen(0, '127.0.0.1', resolve));
  const { port } = kubelet.address() as AddressInfo;
  const status = {
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
  };
  await server.client.create(NODES, { metadata: { name: 'n1' }, spec: {}, status } as Node);
  return { kubelet, asked };
}

test('streams go to the kubelet byte for byte; logs and the node proxy too', async () => {
  const { kubelet, asked } = await startKubelet();
  const spec: Pod['spec'] = {
    nodeName: 'n1',
    initContainers: [{ name: 'i', image: 'x' }],
    containers: [{ name: 'c', image: 'x' }],
  };
  await server.client.create(PODS, { metadata: { name: 'streams', namespace: 'default' }, spec });
  const pod = '/api/v1/namespaces/default/pods/streams';

  expect((await server.ask(`${pod}/log?container=i&follow=true`)).text).toBe(
    'answer to /containerLogs/default/streams/i?follow=true',
  );
  expect((await server.ask('/api/v1/nodes/n1/proxy/probes/default/streams?x=1')).text).toBe(
    'answer to /probes/default/streams?x=1',
  );

  expect((await server.ask('/api/v1/nodes/n1/proxy/unasked')).text).toContain(
    'backend tried to switch protocol \\"x\\" when \\"\\" was requested',
  );

  const socket = await dial();
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('latin1');
  const request = `POST ${pod}/exec?command=ls&command=-l&stdout=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer mine\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`;
  const echoed = reader(socket)((text) => text.endsWith(`${bytes}end`));
  socket.write(Buffer.from(request + bytes, 'latin1'));
  socket.write('end');
  expect(await echoed).toMatch(/^HTTP\/1.1 101 Switching Protocols/);
  expect(asked.at(-1)).toBe('POST /exec/default/streams/c?command=ls&command=-l&stdout=true SPDY/3.1 undefined');

  const refused = await dial();
  refused.write(
    `POST ${pod}/attach?container=none HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n`,
  );
  expect(await reader(refused)((text) => text.endsWith('}'))).toMatch(
    /^HTTP\/1.1 400 Bad Request.*container none is not valid for pod streams/s,
  );

  kubelet.close();
  kubelet.closeAllConnections();
  const gone = await server.ask(`${pod}/log?container=c`);
  expect(gone.code).toBe(500);
  expect(gone.text).toMatch(/error dialing backend: dial tcp 127\.0\.0\.1:\d+: connect: connection refused/);
});

describe('impersonation', () => {
  const as = (name: string, more: Record<string, string> = {}) => ({ headers: { 'Impersonate-User': name, ...more } });
  const REVIEW = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';

  test.each([
    ['alice', {}, { username: 'alice', groups: ['system:authenticated'] }],
    [
      'alice',
      { 'Impersonate-Group': 'g', 'Impersonate-Uid': '7', 'Impersonate-Extra-a%2fb': 'c' },
      { username: 'alice', uid: '7', groups: ['g', 'system:authenticated'], extra: { 'a/b': ['c'] } },
    ],
    [
      'system:anonymous',
      { 'Impersonate-Group': 'system:authenticated' },
      { username: 'system:anonymous', groups: ['system:authenticated', 'system:unauthenticated'] },
    ],
    [
      'system:serviceaccount:n:s',
      {},
      {
        username: 'system:serviceaccount:n:s',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:n', 'system:authenticated'],
      },
    ],
    ['system:node:n', {}, { username: 'system:node:n', groups: ['system:nodes', 'system:authenticated'] }],
  ])('%s %j', async (name, more, userInfo) => {
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    const { text } = await server.ask(path, { method: 'POST', ...as(name, more), body: {} });
    expect(JSON.parse(text).status.userInfo).toEqual(userInfo);
  });

  test('whoever is no administrator is refused, and told beforehand', async () => {
    const listed = await server.ask('/api/v1/namespaces/default/pods', as('alice'));
    expect([listed.code, JSON.parse(listed.text).message]).toEqual([
      403,
      'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"',
    ]);
    expect((await server.ask('/apis', as('alice'))).code).toBe(200);
    const masters = as('alice', { 'Impersonate-Group': 'system:masters' });
    expect((await server.ask('/api/v1/namespaces/default/pods', masters)).code).toBe(200);
    const review = { spec: { resourceAttributes: { verb: 'list', resource: 'pods' } } };
    const allowed = async (question: object) =>
      JSON.parse((await server.ask(REVIEW, { method: 'POST', body: review, ...question })).text).status;
    expect(await allowed(as('alice'))).toEqual({ allowed: false });
    expect(await allowed({})).toEqual({ allowed: true });
  });

  test('nobody but an administrator is taken for another, and nobody without a name', async () => {
    const refused = await server.ask('/api/v1/pods', { ...as('alice'), anonymous: true });
    expect([refused.code, JSON.parse(refused.text).message]).toEqual([
      403,
      'pods is forbidden: User "system:anonymous" cannot impersonate-on:user-info:list resource "pods" in API group "" at the cluster scope',
    ]);
    const nameless = await server.ask('/api/v1/pods', { headers: { 'Impersonate-Group': 'g' } });
    expect([nameless.code, JSON.parse(nameless.text).message]).toEqual([
      400,
      'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)} without impersonating a user name',
    ]);
  });
});
