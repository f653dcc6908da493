import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RecordedAnswer, recordedAnswers } from '../../test/recorded-answers.ts';
import { type Answer, startTestServer, type TestServer } from '../../test/start-test-server.ts';
import type { Node, Pod } from '../api/generated/types.ts';
import { NODES, PODS } from '../api/resources.ts';

/** When the answers were recorded. */
const NOW = Date.parse('2026-11-23T02:28:44Z');

// biome-ignore lint/suspicious/noExplicitAny: JSON of many kinds
type Json = any;

/** Recorded requests that are not about this landing's resources, by the beginning of their names. */
const NOT_SERVED: readonly (readonly [prefix: string, why: string])[] = [
  ['discovery /apis/apps', 'workloads are not served yet'],
  ['discovery /apis/batch', 'workloads are not served yet'],
  ['deployment', 'workloads are not served yet'],
  ['statefulsets', 'workloads are not served yet'],
  ['daemonsets', 'workloads are not served yet'],
  ['replicasets', 'workloads are not served yet'],
  ['jobs', 'workloads are not served yet'],
  ['job ', 'workloads are not served yet'],
  ['cronjobs', 'workloads are not served yet'],
  ['apply ', 'server-side apply is not served yet'],
  ['get managedFields', 'server-side apply is not served yet'],
  ['token', 'there are no service account tokens yet'],
];

const RECORDER_MAP = 'every recorded namespace had a config map openshift-service-ca.crt, which came from elsewhere';

/** Recorded requests whose answer depends on what this replay does not have. */
const NOT_REPLAYED: Readonly<Record<string, string>> = {
  endpoints: 'made by a controller: test/unit/services',
  'endpointslices real': 'made by a controller: test/unit/services',
  'watch old': 'needs a history that is compacted: registry.test.ts',
  'watch initial events': 'the recorded server had the feature turned off; ours has it: handlers.test.ts',
};

const CORE = [
  'bindings',
  'configmaps',
  'endpoints',
  'events',
  'namespaces',
  'namespaces/finalize',
  'namespaces/status',
  'nodes',
  'nodes/proxy',
  'nodes/status',
  'pods',
  'pods/attach',
  'pods/binding',
  'pods/ephemeralcontainers',
  'pods/eviction',
  'pods/exec',
  'pods/log',
  'pods/portforward',
  'pods/proxy',
  'pods/status',
  'secrets',
  'serviceaccounts',
  'services',
  'services/proxy',
  'services/status',
];
const GROUPS = [
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
];
const VIRTUAL = ['selfsubjectreviews', 'selfsubjectaccessreviews', 'events', 'leases', 'endpointslices'];

/** Where our answer differs, and why. The function makes of the recorded answer what ours is. */
const DIFFERENCES: Readonly<Record<string, readonly [why: string, expected: (recorded: Json) => Json]>> = {
  'discovery /version': [
    'another program answers',
    (version) => ({
      ...version,
      gitVersion: 'v1.36.2+kubelette',
      gitCommit: '',
      goVersion: process.version,
      compiler: 'node',
    }),
  ],
  'discovery /': [
    'fewer paths',
    ({ paths }) => ({
      paths: paths.filter((path: string) =>
        /^\/(api|api\/v1|apis|healthz|livez|readyz|openapi\/v[23]|version)$/.test(path),
      ),
    }),
  ],
  'discovery /apis': [
    'fewer groups',
    (list) => ({ ...list, groups: list.groups.filter(({ name }: Json) => GROUPS.includes(name)) }),
  ],
  'discovery /api/v1': [
    'fewer resources',
    (list) => ({ ...list, resources: list.resources.filter(({ name }: Json) => CORE.includes(name)) }),
  ],
  'aggregated discovery /api': ['fewer resources', (list) => ({ ...list, items: list.items.map(fewerResources) })],
  'aggregated discovery /apis': [
    'fewer groups',
    (list) => ({
      ...list,
      items: list.items.filter(({ metadata }: Json) => GROUPS.includes(metadata.name)).map(fewerResources),
    }),
  ],
  'no accept match': [
    'answers are not given in protobuf',
    (status) => ({ ...status, message: status.message.replace(', application/vnd.kubernetes.protobuf', '') }),
  ],
  'list limit': [RECORDER_MAP, (list) => ({ ...list, metadata: { ...list.metadata, remainingItemCount: 4 } })],
  'list continue': [RECORDER_MAP, (list) => ({ ...list, metadata: { ...list.metadata, remainingItemCount: 2 } })],
  'namespaces table': [
    'the recorded cluster had others as well',
    (table) => ({
      ...table,
      rows: table.rows.filter(({ cells }: Json) => /^(default|golden|kube-.*)$/.test(cells[0])),
    }),
  ],
  whoami: [
    'our administrator has another name',
    (review) => ({
      ...review,
      status: { userInfo: { username: 'kubelette-admin', groups: review.status.userInfo.groups } },
    }),
  ],
};

function fewerResources(item: Json): Json {
  const resources = item.versions[0].resources
    .filter(({ resource }: Json) => CORE.includes(resource) || VIRTUAL.includes(resource))
    .map((resource: Json) => ({
      ...resource,
      subresources: resource.subresources?.filter(({ subresource }: Json) =>
        CORE.includes(`${resource.resource}/${subresource}`),
      ),
    }));
  return { ...item, versions: [{ ...item.versions[0], resources }] };
}

/** Tests of single requests live in `handlers/`; here is everything that Kubernetes itself was asked, in the order it was asked. */
let server: TestServer;
let kubelet: Server;
const answers = new Map<string, Answer>();
const recorded = recordedAnswers();
const served = recorded.filter(
  ({ name }) => !(name in NOT_REPLAYED) && !NOT_SERVED.some(([prefix]) => name.startsWith(prefix)),
);

beforeAll(async () => {
  server = await startTestServer(NOW);
  const tls = server.issueServingCert('system:node:peer', ['peer']);
  kubelet = createServer(tls, (_request, response) => {
    response.statusCode = 400;
    response.end('previous terminated container "c" in pod "p" not found');
  });
  await new Promise<void>((resolve) => kubelet.listen(0, '127.0.0.1', resolve));
  await prepareCluster((kubelet.address() as AddressInfo).port);
  for (const request of recorded) {
    if (!served.includes(request)) continue;
    await prepare[request.name]?.();
    answers.set(request.name, await send(request));
  }
});

afterAll(async () => {
  kubelet.close();
  await server.close();
});

async function prepareCluster(port: number): Promise<void> {
  const row = recorded.find(({ name }) => name === 'nodes table')!.answer.rows[0].object.metadata;
  await server.client.create(NODES, {
    metadata: { name: 'peer', labels: row.labels, annotations: row.annotations },
    status: {
      addresses: [{ type: 'InternalIP', address: '10.88.0.1' }],
      conditions: [{ type: 'Ready', status: 'True' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
      nodeInfo: {
        architecture: 'amd64',
        bootID: '',
        containerRuntimeVersion: 'containerd://1.6.20',
        kernelVersion: '6.18.44-fc-v669',
        kubeProxyVersion: '',
        kubeletVersion: 'v1.36.2',
        machineID: '',
        operatingSystem: 'linux',
        osImage: 'Debian GNU/Linux 12 (bookworm)',
        hasAppArmor: false,
        systemUUID: '',
      },
    },
  } as unknown as Node);
  await server.ask('/api/v1/namespaces', { method: 'POST', body: { metadata: { name: 'golden' } } });
}

const answerOf = (name: string): Json => recorded.find((request) => request.name === name)!.answer;
const post = (path: string, body: Json) => server.ask(path, { method: 'POST', body });

/** What other parties did in between. */
const prepare: Record<string, () => Promise<unknown>> = {
  'immutable create': () =>
    post('/api/v1/namespaces/golden/configmaps', { metadata: { name: 'ssa' }, data: { a: '2', c: '3' } }),
  'pod get': () => setStatus('p', answerOf('pod get').status),
  'pod label strategic': () => setStatus('p', answerOf('pod label strategic').status),
  'field selector phase': () => setStatus('two', { phase: 'Running' }),
  'events table': async () => {
    const { rows } = answerOf('events table');
    const fillers = Array.from(
      { length: rows.length + answerOf('events table').metadata.remainingItemCount },
      (_, i) => i,
    );
    for (const i of fillers) {
      const [, type, reason, , fieldPath, , message, , count] = (rows[i] ?? rows[0]).cells;
      const name = rows[i]?.object.metadata.name ?? `z.${String(i).padStart(2, '0')}`;
      await post('/api/v1/namespaces/golden/events', {
        metadata: { name },
        involvedObject: { kind: 'Pod', namespace: 'golden', name: 'p', fieldPath },
        source: { component: 'kubelet', host: 'peer' },
        firstTimestamp: '2026-11-23T02:28:40Z',
        lastTimestamp: '2026-11-23T02:28:40Z',
        type,
        reason,
        message,
        count,
      });
    }
  },
  'pod: no-kind': () =>
    post('/api/v1/namespaces/default/pods', {
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image: 'x' }] },
    }),
};

async function setStatus(name: string, status: Pod['status']): Promise<void> {
  await server.client.patch(PODS, { namespace: 'golden', name }, 'merge', { status }, { subresource: 'status' });
}

/** The revision and uid that the recorded requests name are those of the config map `cm` when it was new. */
const RECORDED_REVISION = '7404';
let first = { uid: '', resourceVersion: '' };
/** Of the list before: it names an object with a generated name. */
let continueToken = '';
/** Addresses and node ports that were allocated there, and here. */
const allocated: [recorded: string, ours: string][] = [];

async function send(request: RecordedAnswer): Promise<Answer> {
  const { method, headers, body, name } = request;
  const path = request.path
    .replace(RECORDED_REVISION, first.resourceVersion)
    .replace(/continue=eyJ[^&]*/, `continue=${continueToken}`);
  const uid = name === 'put wrong uid' ? '00000000-0000-4000-8000-000000000000' : first.uid;
  // The recorder wrote lists with a blank after each comma, and one answer shows the very bytes.
  const text = typeof body === 'string' ? body : name === 'pod: not-object' ? '[1, 2]' : JSON.stringify(body);
  const ours = allocated.reduce((body, [theirs, mine]) => body?.replaceAll(theirs, mine), text);
  const asked = server.ask(path, {
    method,
    headers: { ...headers, ...(name === 'wrong token' ? { Authorization: 'Bearer wrong' } : {}) },
    body: ours?.replaceAll('"UID"', `"${uid}"`).replaceAll(`"${RECORDED_REVISION}"`, `"${first.resourceVersion}"`),
    anonymous: name === 'no token' || name === 'wrong token',
  });
  if (path.includes('watch=1')) {
    // The time of a watch passes once the server has begun to count it.
    let done = false;
    void asked.finally(() => {
      done = true;
    });
    while (!done) await server.clock.advance(100);
  }
  const answer = await asked;
  if (name === 'list limit') continueToken = JSON.parse(answer.text).metadata.continue;
  if (name === 'create configmap') first = JSON.parse(answer.text).metadata;
  if (name === 'service' || name === 'service nodeport') {
    const [theirs, mine] = [request.answer.spec, JSON.parse(answer.text).spec];
    allocated.push([theirs.clusterIP, mine.clusterIP]);
    if (mine.ports[0].nodePort) allocated.push([`${theirs.ports[0].nodePort}`, `${mine.ports[0].nodePort}`]);
  }
  return answer;
}

describe('answers as Kubernetes 1.36 gave them', () => {
  test.each(served.map((request) => [request.name, request] as const))('%s', (name, request) => {
    const answer = answers.get(name)!;
    const [, expected] = DIFFERENCES[name] ?? ['', (same: Json) => same];
    const { 'content-type': contentType } = request as { 'content-type'?: string };
    expect(answer.code, answer.text).toBe(request.code);
    if (contentType) expect(answer.headers['content-type']).toBe(contentType);
    const ours = normalize(parse(answer));
    // Some answers were recorded in short.
    const brief = name.startsWith('pod: ') ? { reason: ours.reason, message: ours.message, ...causesOf(ours) } : ours;
    expect(brief).toEqual(normalize(expected(structuredClone(request.answer))));
    if (brief === ours) expect(warningsOf(answer)).toEqual(request.warning ?? []);
  });
});

function causesOf({ details }: Json): Json {
  if (!details?.causes) return {};
  // They were recorded in order of their texts.
  return { causes: details.causes.map(({ field, reason, message }: Json) => [field, reason, message]).sort() };
}

function warningsOf({ headers }: Answer): string[] {
  return headers.warning === undefined ? [] : [headers.warning];
}

function parse({ text: written, headers, code }: Answer): Json {
  if (code === 204) return [];
  const text = allocated.reduce((body, [theirs, mine]) => body.replaceAll(mine, theirs), written);
  if (!headers['content-type']?.startsWith('application/json')) return text;
  const lines = text.trimEnd().split('\n');
  return lines.length > 1 ? lines.map((line) => JSON.parse(line)) : JSON.parse(text);
}

/** Of conditions; without a value we leave them out. */
const TIMES = new Set(['lastProbeTime', 'lastTransitionTime']);

/** Drops what differs from run to run, and what this landing does not have: managed fields and the token's volume. */
function normalize(value: Json, key = ''): Json {
  if (Array.isArray(value)) {
    const kept = value.filter(({ name, cells, metadata, mountPath }: Json = {}) => {
      const names = [name, cells?.[0], metadata?.name, mountPath].filter((n) => typeof n === 'string');
      return !names.some((n) => /^kube-api-access-|^openshift-service-ca.crt|^.var.run.secrets/.test(n));
    });
    return kept.map((item) => normalize(item, key));
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
      .filter(([name, part]) => part !== undefined && name !== 'managedFields' && !(part === null && TIMES.has(name)))
      .map(([name, part]) => [name, normalize(part, name)] as const)
      .filter(([name, part]) => !(['volumes', 'volumeMounts', 'subresources'].includes(name) && part.length === 0));
    return Object.fromEntries(entries);
  }
  if (typeof value !== 'string') return value;
  switch (key) {
    case 'resourceVersion':
    case 'continue':
    case 'serverAddress':
    case 'ca.crt':
      return key.toUpperCase();
    case 'cells':
      return value.replace(/^\d+[smhd](\d+[smhd])?$/, 'AGE').replace(/^gen-.{5}$/, 'gen-XXXXX');
    default:
      return value
        .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID')
        .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
        .replace(/^gen-.{5}$/, 'gen-XXXXX')
        .replace(/(resourceVersion: "|in record \(|current: )\d+/g, '$1RV')
        .replace(/@@ .* @@/g, '@@')
        .replace(/ {2}managedFields:\n(?: {2}[- ] .*\n)*/, '');
  }
}
