import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { ConfigMap, Namespace, Pod } from '../../api/generated/types.ts';
import {
  CONFIGMAPS,
  EVENTS,
  type KubeObject,
  NAMESPACES,
  PODS,
  SERVICEACCOUNTS,
  SERVICES,
} from '../../api/resources.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import { FakeClock } from '../../lib/fake-clock.ts';
import { parseCidr } from '../../lib/ipv4.ts';
import { SeededRandom } from '../../lib/random.ts';
import { ObjectStore } from '../storage/object-store.ts';
import { ClusterAdmission } from './cluster-admission.ts';
import { EventExpiry } from './event-expiry.ts';
import { Registry } from './registry.ts';
import { findResource } from './resource-table.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const pods = findResource(PODS)!;
const configMaps = findResource(CONFIGMAPS)!;
const namespaces = findResource(NAMESPACES)!;
const accounts = findResource(SERVICEACCOUNTS)!;
const events = findResource(EVENTS)!;
const SETTINGS = {
  serviceRange: parseCidr('10.96.0.0/24')!,
  random: new SeededRandom(2),
  portsInUse: () => new Set<number>(),
};

let clock: FakeClock;
let store: ObjectStore;
let registry: Registry;
let admission: ClusterAdmission;
beforeEach(() => {
  clock = new FakeClock(NOW);
  store = new ObjectStore(':memory:', clock, { changes: 50, characters: 1 << 20, ageMs: 60_000 });
  registry = new Registry(store, clock, new SeededRandom(1), (self) => {
    admission = new ClusterAdmission(self, { ...SETTINGS, caCertificate: 'PEM' });
    return admission;
  });
  admission.bootstrap();
});

const createPod = (name: string, spec: Partial<Pod['spec']> = {}, namespace = 'default'): Pod =>
  registry.create(pods, namespace, {
    metadata: { name },
    spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
  } as Pod).object as Pod;
const createMap = (name: string, metadata: Partial<ConfigMap['metadata']> = {}, namespace = 'default'): ConfigMap =>
  registry.create(configMaps, namespace, { metadata: { name, ...metadata } } as ConfigMap).object as ConfigMap;
const find = (definition: typeof pods, key: string): KubeObject | undefined =>
  store.get(definition.collection, key)?.object;
const names = (definition: typeof pods, namespace: string): string[] =>
  [...store.scan(definition.collection, `${namespace}/`)].map(({ object }) => object.metadata.name!);
const failure = (work: () => unknown): ApiStatusError => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(ApiStatusError);
    return error as ApiStatusError;
  }
  expect.unreachable();
};

describe('deleting a pod', () => {
  const remove = (name: string, gracePeriodSeconds?: number) =>
    registry.delete(pods, 'default', name, gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds });

  test('a running one is marked with its grace period, and its generation rises', () => {
    createPod('p', { nodeName: 'n', terminationGracePeriodSeconds: 20 });
    const { gone, version } = remove('p');
    expect(gone).toBe(false);
    expect(version.object.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:20Z',
      deletionGracePeriodSeconds: 20,
      generation: 2,
    });
  });

  test('a second deletion may shorten it, never lengthen it', () => {
    createPod('p', { nodeName: 'n' });
    remove('p');
    const { revision } = store;
    expect(remove('p', 60).version.object.metadata.deletionGracePeriodSeconds).toBe(30);
    expect(remove('p').version.object.metadata.deletionGracePeriodSeconds).toBe(30);
    expect(store.revision).toBe(revision);
    const shortened = remove('p', 5).version.object.metadata;
    expect(shortened).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:05Z',
      deletionGracePeriodSeconds: 5,
      generation: 2,
    });
    expect(remove('p', 0).gone).toBe(true);
    expect(find(pods, 'default/p')).toBeUndefined();
  });

  test('a period that is shortened to what is over already ends in a second', async () => {
    createPod('p', { nodeName: 'n' });
    remove('p');
    await clock.advance(10_000);
    expect(remove('p', 5).version.object.metadata).toMatchObject({
      deletionTimestamp: '2026-01-01T00:00:10Z',
      deletionGracePeriodSeconds: 1,
    });
  });

  test.each<[string, Partial<Pod['spec']>, Pod['status'] | undefined]>([
    ['without a node', {}, undefined],
    ['succeeded', { nodeName: 'n' }, { phase: 'Succeeded' }],
    ['failed', { nodeName: 'n' }, { phase: 'Failed' }],
  ])('one %s goes at once, whatever grace was asked for', (_, spec, status) => {
    createPod('p', spec);
    if (status)
      registry.update(pods, 'default', 'p', (old) => ({ ...structuredClone(old), status }) as Pod, { status: true });
    expect(remove('p', 100).gone).toBe(true);
    expect(find(pods, 'default/p')).toBeUndefined();
  });

  test('a negative grace period counts as one second', () => {
    createPod('p', { nodeName: 'n' });
    expect(remove('p', -5).version.object.metadata.deletionGracePeriodSeconds).toBe(1);
  });

  test('a finalizer holds it beyond its grace period', () => {
    registry.create(pods, 'default', {
      metadata: { name: 'p', finalizers: ['x.io/f'] },
      spec: { nodeName: 'n', containers: [{ name: 'c', image: 'x' }] },
    } as Pod);
    expect(remove('p', 0).gone).toBe(false);
    expect(find(pods, 'default/p')?.metadata.deletionGracePeriodSeconds).toBe(0);
    registry.update(pods, 'default', 'p', (old) => ({
      ...structuredClone(old),
      metadata: { ...old.metadata, finalizers: [] },
    }));
    expect(find(pods, 'default/p')).toBeUndefined();
  });

  test('a dry run leaves it', () => {
    createPod('p', { nodeName: 'n' });
    const { revision } = store;
    const { version } = registry.delete(pods, 'default', 'p', { dryRun: ['All'], gracePeriodSeconds: 3 });
    expect(version.object.metadata.deletionGracePeriodSeconds).toBe(3);
    expect(store.revision).toBe(revision);
  });
});

describe('a pod', () => {
  test('gets what the admission of every cluster gives', () => {
    const { spec, metadata, status } = createPod('p');
    expect(spec).toMatchObject({
      serviceAccountName: 'default',
      serviceAccount: 'default',
      priority: 0,
      preemptionPolicy: 'PreemptLowerPriority',
    });
    expect(spec.tolerations?.map((t) => `${t.key} ${t.tolerationSeconds}`)).toEqual([
      'node.kubernetes.io/not-ready 300',
      'node.kubernetes.io/unreachable 300',
    ]);
    expect(metadata.generation).toBe(1);
    expect(status).toEqual({ phase: 'Pending', qosClass: 'BestEffort' });
  });

  test('keeps its own tolerations', () => {
    const everything = [{ operator: 'Exists' }] as Pod['spec']['tolerations'];
    expect(createPod('p', { tolerations: everything }).spec.tolerations).toEqual(everything);
  });

  test.each<[Partial<Pod['spec']>, string]>([
    [
      { serviceAccountName: 'none' },
      'pods "p" is forbidden: error looking up service account default/none: serviceaccount "none" not found',
    ],
    [{ priorityClassName: 'none' }, 'pods "p" is forbidden: no PriorityClass with name none was found'],
    [
      { preemptionPolicy: 'Never' },
      'pods "p" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name',
    ],
    [
      { priority: 5 },
      'pods "p" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    ],
    [
      { overhead: { cpu: '100m' } },
      'pods "p" is forbidden: pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
    ],
  ])('%j is refused', (spec, message) => {
    expect(failure(() => createPod('p', spec))).toMatchObject({ code: 403, reason: 'Forbidden', message });
  });

  test('what is hardly meant is warned about: in a pod when it is new, in a Service always', () => {
    const warnings: string[] = [];
    const options = { warn: (text: string) => warnings.push(text) };
    const spec = { containers: [{ name: 'c', image: 'x:1' }], terminationGracePeriodSeconds: -1 };
    registry.create(pods, 'default', { metadata: { name: 'odd' }, spec } as Pod, options);
    const relabel = (old: KubeObject): KubeObject => ({ ...old, metadata: { ...old.metadata, labels: { a: 'b' } } });
    registry.update(pods, 'default', 'odd', relabel, options);
    expect(warnings.splice(0)).toEqual([expect.stringMatching(/^spec\.terminationGracePeriodSeconds: must be >= 0/)]);
    const services = findResource(SERVICES)!;
    const service = { metadata: { name: 'odd' }, spec: { ports: [{ port: 1 }], externalName: 'x' } } as KubeObject;
    registry.create(services, 'default', service, options);
    registry.update(services, 'default', 'odd', relabel, options);
    expect(warnings).toEqual(Array(2).fill('spec.externalName is ignored when spec.type is not "ExternalName"'));
  });

  test('what is not carried out is refused by name, or warned about', () => {
    const refused = failure(() => createPod('p', { volumes: [{ name: 'v', nfs: { path: '/', server: 's' } }] }));
    expect(refused).toMatchObject({
      code: 422,
      details: { causes: [{ reason: 'FieldValueForbidden', field: 'spec.volumes[0].nfs' }] },
    });
    const warnings: string[] = [];
    const spec = { containers: [{ name: 'c', image: 'x' }], schedulerName: 'other' };
    registry.create(pods, 'default', { metadata: { name: 'p' }, spec } as Pod, { warn: (text) => warnings.push(text) });
    expect(warnings).toEqual([expect.stringMatching(/^spec\.schedulerName: /)]);
  });

  test('is replaced by the manifest that it was made from', () => {
    const own = { nodeName: 'n', serviceAccountName: 'default', priorityClassName: 'system-node-critical' };
    const before = createPod('p', own);
    const manifest = (image: string): Pod => ({
      metadata: { name: 'p' },
      spec: { containers: [{ name: 'c', image }], ...own },
    });
    const { spec } = registry.update(pods, 'default', 'p', () => manifest('y')).object as Pod;
    expect(spec).toEqual({
      ...before.spec,
      containers: [{ ...before.spec.containers[0]!, image: 'y', imagePullPolicy: 'Always' }],
    });
  });

  test('an update of the status also writes labels and annotations, but nothing of the spec, no owners, and keeps the QoS class', () => {
    createPod('p');
    const update = (metadata: Partial<Pod['metadata']>) =>
      registry.update(
        pods,
        'default',
        'p',
        (old) => {
          const pod = structuredClone(old) as Pod;
          Object.assign(pod.metadata, metadata);
          pod.spec.containers[0]!.image = 'y';
          pod.status = { phase: 'Running' };
          return pod;
        },
        { status: true },
      ).object;
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u' }];
    const pod = update({ labels: { a: 'b' }, annotations: { c: 'd' }, ownerReferences }) as Pod;
    expect(pod.metadata).toMatchObject({ labels: { a: 'b' }, annotations: { c: 'd' }, generation: 1 });
    expect(pod.metadata.ownerReferences).toBeUndefined();
    expect(pod.spec.containers[0]!.image).toBe('x');
    expect(pod.status).toEqual({ phase: 'Running', qosClass: 'BestEffort' });
    expect(failure(() => update({ labels: { a: '-' } }))).toMatchObject({
      code: 422,
      details: { causes: expect.arrayContaining([expect.objectContaining({ field: 'metadata.labels' })]) },
    });
  });

  test('an update that changes nothing writes nothing; one of the spec raises the generation', () => {
    createPod('p');
    const { revision } = store;
    registry.update(pods, 'default', 'p', (old) => structuredClone(old));
    expect(store.revision).toBe(revision);
    registry.update(pods, 'default', 'p', (old) => {
      const pod = structuredClone(old) as Pod;
      pod.spec.containers[0]!.image = 'y';
      pod.status = { phase: 'Failed' };
      return pod;
    });
    expect(find(pods, 'default/p')).toMatchObject({ metadata: { generation: 2 }, status: { phase: 'Pending' } });
  });
});

describe('namespaces', () => {
  const create = (name: string): void => {
    registry.create(namespaces, undefined, { metadata: { name } } as Namespace);
  };

  test('the usual ones are there, each with an account and the certificate', () => {
    expect([...store.scan('namespaces')].map(({ key }) => key)).toEqual([
      'default',
      'kube-node-lease',
      'kube-public',
      'kube-system',
    ]);
    expect(find(accounts, 'kube-public/default')).toBeDefined();
    expect(find(configMaps, 'kube-public/kube-root-ca.crt')).toMatchObject({ data: { 'ca.crt': 'PEM' } });
  });

  test('what every namespace has comes back when it is deleted, and follows a new certificate', () => {
    const { uid } = find(accounts, 'default/default')!.metadata;
    registry.delete(accounts, 'default', 'default');
    expect(find(accounts, 'default/default')?.metadata.uid).not.toBe(uid);
    new ClusterAdmission(registry, { ...SETTINGS, caCertificate: 'NEW' }).bootstrap();
    expect(find(configMaps, 'default/kube-root-ca.crt')).toMatchObject({ data: { 'ca.crt': 'NEW' } });
  });

  test('an empty one goes at once, with everything in it that needs no time', () => {
    create('room');
    createMap('m', {}, 'room');
    const { version } = registry.delete(namespaces, undefined, 'room');
    expect(version.object).toMatchObject({ status: { phase: 'Terminating' } });
    expect(find(namespaces, 'room')).toBeUndefined();
    expect(names(configMaps, 'room')).toEqual([]);
  });

  test('a running pod holds it until the kubelet is done; nothing new comes in', () => {
    create('room');
    createPod('p', { nodeName: 'n' }, 'room');
    registry.delete(namespaces, undefined, 'room');
    expect(find(namespaces, 'room')).toMatchObject({ status: { phase: 'Terminating' } });
    expect(find(pods, 'room/p')?.metadata.deletionGracePeriodSeconds).toBe(30);
    expect(names(accounts, 'room')).toEqual([]);
    const refused = failure(() => createMap('m', {}, 'room'));
    expect(refused.message).toBe(
      'configmaps "m" is forbidden: unable to create new content in namespace room because it is being terminated',
    );
    expect(refused.details?.causes?.[0]?.reason).toBe('NamespaceTerminating');
    registry.delete(pods, 'room', 'p', { gracePeriodSeconds: 0 });
    expect(find(namespaces, 'room')).toBeUndefined();
  });

  test('one that hangs says what holds it', async () => {
    create('room');
    createPod('p', { nodeName: 'n' }, 'room');
    createMap('a', { finalizers: ['x.io/f', 'x.io/g'] }, 'room');
    createMap('b', { finalizers: ['x.io/f'] }, 'room');
    registry.delete(namespaces, undefined, 'room');
    const conditions = () =>
      (find(namespaces, 'room') as Namespace).status?.conditions?.map(
        ({ type, status, reason, message, lastTransitionTime }) =>
          `${type} ${status} ${lastTransitionTime} ${reason} ${message}`,
      );
    const then = '2026-01-01T00:00:00Z';
    const fine = [
      `NamespaceDeletionDiscoveryFailure False ${then} ResourcesDiscovered All resources successfully discovered`,
      `NamespaceDeletionGroupVersionParsingFailure False ${then} ParsedGroupVersions All legacy kube types successfully parsed`,
      `NamespaceDeletionContentFailure False ${then} ContentDeleted All content successfully deleted, may be waiting on finalization`,
    ];
    expect(conditions()).toEqual([
      ...fine,
      `NamespaceContentRemaining True ${then} SomeResourcesRemain Some resources are remaining: configmaps. has 2 resource instances, pods. has 1 resource instances`,
      `NamespaceFinalizersRemaining True ${then} SomeFinalizersRemain Some content in the namespace has finalizers remaining: x.io/f in 2 resource instances, x.io/g in 1 resource instances`,
    ]);
    await clock.advance(5000);
    registry.delete(pods, 'room', 'p', { gracePeriodSeconds: 0 });
    expect(conditions()![3]).toBe(
      `NamespaceContentRemaining True ${then} SomeResourcesRemain Some resources are remaining: configmaps. has 2 resource instances`,
    );
    for (const name of ['a', 'b']) {
      registry.update(configMaps, 'room', name, (old) => ({ ...old, metadata: { ...old.metadata, finalizers: [] } }));
    }
    expect(find(namespaces, 'room')).toBeUndefined();
  });

  test('a crash in the middle is made good at the next start', () => {
    create('room');
    createMap('m', {}, 'room');
    const half = structuredClone(find(namespaces, 'room')) as Namespace;
    half.metadata.deletionTimestamp = '2026-01-01T00:00:00Z';
    store.put('namespaces', 'room', half);
    admission.bootstrap();
    expect(find(namespaces, 'room')).toBeUndefined();
    expect(names(configMaps, 'room')).toEqual([]);
  });
});

test('a deletion of which a power cut left the first of its two writes is finished at the next start', () => {
  createPod('p', { nodeName: 'n' });
  createPod('stays', { nodeName: 'n' });
  registry.delete(pods, 'default', 'stays');
  const marked = structuredClone(find(pods, 'default/p'))!;
  Object.assign(marked.metadata, { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0 });
  store.put('pods', 'default/p', marked);
  admission.bootstrap();
  expect(names(pods, 'default')).toEqual(['stays']);
});

describe('reading', () => {
  const seen = (resourceVersion: string, sendInitialEvents?: boolean): string[] => {
    const told: string[] = [];
    registry.watch(
      configMaps,
      {
        resourceVersion,
        namespace: 'kube-public',
        ...(sendInitialEvents ? { sendInitialEvents, resourceVersionMatch: 'NotOlderThan' } : {}),
      },
      {
        event: ({ type, version }) => told.push(`${type} ${version.object.metadata.name}`),
        initialEventsEnd: () => told.push('END'),
      },
    );
    return told;
  };

  test('a watch from a version that is compacted is told to list again', () => {
    for (let i = 0; i < 200; i++) createMap(`m${i}`);
    expect(failure(() => seen('1'))).toMatchObject({
      code: 410,
      reason: 'Expired',
      message: `too old resource version: 1 (${store.oldest})`,
    });
  });

  test('a page of a list that is compacted is refused as well', () => {
    const { continue: token } = registry.list(configMaps, { limit: 1 });
    for (let i = 0; i < 200; i++) createMap(`m${i}`);
    expect(failure(() => registry.list(configMaps, { limit: 1, continue: token })).code).toBe(410);
  });

  test('with initial events: what there is, a mark, what comes', () => {
    const told = seen('', true);
    createMap('m', {}, 'kube-public');
    createMap('other');
    expect(told).toEqual(['ADDED kube-root-ca.crt', 'END', 'ADDED m']);
  });

  test('an exact version shows what was', () => {
    const { revision } = store;
    createMap('m');
    const exact = { namespace: 'default', resourceVersion: String(revision), resourceVersionMatch: 'Exact' };
    expect(registry.list(configMaps, exact).items).toHaveLength(1);
    expect(registry.list(configMaps, { namespace: 'default' }).items).toHaveLength(2);
  });

  test('a generated name that is taken is replaced by another', () => {
    const same = {
      float: () => 0,
      uuid: () => 'u',
      suffix: (() => {
        const list = ['aaaaa', 'aaaaa', 'bbbbb'];
        return () => list.shift() ?? 'zzzzz';
      })(),
    };
    const other = new Registry(store, clock, same, () => admission);
    const generate = () =>
      other.create(configMaps, 'default', { metadata: { generateName: 'g-' } } as ConfigMap).object.metadata.name;
    expect([generate(), generate()]).toEqual(['g-aaaaa', 'g-bbbbb']);
  });
});

test('events are forgotten an hour after they last happened', async () => {
  const event = (name: string, lastTimestamp: string): void => {
    const involvedObject = { kind: 'Pod', namespace: 'default', name: 'p' };
    registry.create(events, 'default', { metadata: { name }, involvedObject, lastTimestamp } as KubeObject);
  };
  event('old', '2026-01-01T00:00:00Z');
  event('again', '2026-01-01T00:30:00Z');
  const expiry = new EventExpiry(registry, clock);
  expiry.start();
  await clock.advance(3_599_000);
  expect(names(events, 'default')).toEqual(['again', 'old']);
  // A full disk is no reason to die: a later sweep takes them.
  const full = vi.spyOn(store, 'delete').mockImplementation(() => {
    throw new ApiStatusError(500, 'InternalError', 'database or disk is full');
  });
  await clock.advance(61_000);
  expect(full).toHaveBeenCalled();
  expect(names(events, 'default')).toEqual(['again', 'old']);
  full.mockRestore();
  await clock.advance(60_000);
  expect(names(events, 'default')).toEqual(['again']);
  await clock.advance(1_800_000);
  expect(names(events, 'default')).toEqual([]);
  expiry.stop();
  expect(clock.pendingTimers).toBe(0);
});
