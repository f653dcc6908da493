import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { ConfigMap, Container, Pod, Secret } from '../../api/generated/types.ts';
import { ApiStatusError } from '../../api/status-error.ts';
import type { KubeClient } from '../../client/kube-client.ts';
import { ApiConfigObjects } from '../volumes/config-objects.ts';
import { resolveEnv } from './resolve-env.ts';

const configMap: ConfigMap = { metadata: {}, data: { b: '2', a: '1' }, binaryData: { bin: 'AAE=' } };
const secret: Secret = { metadata: {}, data: { password: Buffer.from('s3cret').toString('base64') } };

const client = {
  get: async ({ kind }: { kind: string }, { name }: { name: string }) => {
    if (name === 'broken') throw new Error('no connection');
    if (kind === 'ConfigMap' && name === 'cm') return configMap;
    if (kind === 'Secret' && name === 'sec') return secret;
    throw new ApiStatusError(404, 'NotFound', `${kind.toLowerCase()}s "${name}" not found`);
  },
} as unknown as KubeClient;

const pod: Pod = { metadata: { name: 'p', namespace: 'ns', uid: 'u' }, spec: { containers: [] } };
const context = {
  objects: new ApiConfigObjects(client),
  fields: { nodeName: 'n', hostIP: '192.0.2.1', podIPs: ['10.88.0.2'] },
  capacity: { cpuMillis: 2000, memoryBytes: 4096, ephemeralStorageBytes: 8192 },
  serviceEnv: new Map<string, string>(),
};
const resolve = async (container: Omit<Container, 'name'>): Promise<Record<string, string>> =>
  Object.fromEntries(await resolveEnv(pod, { name: 'app', ...container }, context));

test('plain values refer to what stands before them', async () => {
  const env = await resolveEnv(
    pod,
    {
      name: 'app',
      env: [
        { name: 'A', value: '1' },
        { name: 'B', value: '$(A)-$(LATER)-$$(A)' },
        { name: 'LATER', value: 'x' },
        { name: 'A', value: '2' },
        { name: 'NONE' },
      ],
    },
    context,
  );
  expect([...env]).toEqual([
    ['A', '2'],
    ['B', '1-$(LATER)-$(A)'],
    ['LATER', 'x'],
    ['NONE', ''],
  ]);
});

test('envFrom comes first, with its prefix, and env wins', async () => {
  expect(
    await resolve({
      envFrom: [{ configMapRef: { name: 'cm' } }, { prefix: 'S_', secretRef: { name: 'sec' } }],
      env: [
        { name: 'a', value: 'mine' },
        { name: 'C', value: '$(b)$(S_password)' },
      ],
    }),
  ).toEqual({ a: 'mine', b: '2', S_password: 's3cret', C: '2s3cret' });
});

test('values from elsewhere', async () => {
  expect(
    await resolve({
      env: [
        { name: 'CM', valueFrom: { configMapKeyRef: { name: 'cm', key: 'a' } } },
        { name: 'SEC', valueFrom: { secretKeyRef: { name: 'sec', key: 'password' } } },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      ],
    }),
  ).toEqual({ CM: '1', SEC: 's3cret', IP: '10.88.0.2', CPU: '2' });
});

test('optional references to what is missing set nothing', async () => {
  expect(
    await resolve({
      envFrom: [{ configMapRef: { name: 'nope', optional: true } }, { secretRef: { name: 'nope', optional: true } }],
      env: [
        { name: 'A', valueFrom: { configMapKeyRef: { name: 'nope', key: 'a', optional: true } } },
        { name: 'B', valueFrom: { configMapKeyRef: { name: 'cm', key: 'nope', optional: true } } },
        { name: 'C', valueFrom: { secretKeyRef: { name: 'nope', key: 'a', optional: true } } },
        { name: 'D', valueFrom: { secretKeyRef: { name: 'sec', key: 'nope', optional: true } } },
      ],
    }),
  ).toEqual({});
});

describe('what is missing is named', () => {
  test.each<[Omit<Container, 'name'>, string]>([
    [{ envFrom: [{ configMapRef: { name: 'nope' } }] }, 'configmap "nope" not found'],
    [{ envFrom: [{ secretRef: { name: 'nope' } }] }, 'secret "nope" not found'],
    [{ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'nope', key: 'a' } } }] }, 'secret "nope" not found'],
    [
      { env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'nope' } } }] },
      "couldn't find key nope in ConfigMap ns/cm",
    ],
    [
      { env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'sec', key: 'nope' } } }] },
      "couldn't find key nope in Secret ns/sec",
    ],
    [{ envFrom: [{ configMapRef: { name: 'broken', optional: true } }] }, 'no connection'],
  ])('%#', async (container, message) => {
    await expect(resolve(container)).rejects.toThrow(message);
  });

  test('as Kubernetes was recorded', async () => {
    const traces = JSON.parse(
      readFileSync(new URL('../../../test/data/kubelet-traces.json', import.meta.url), 'utf8'),
    ) as Record<string, { events: { message: string }[] }>;
    const error = await resolve({ envFrom: [{ configMapRef: { name: 'nope' } }] }).catch((e: Error) => e.message);
    expect(traces['config-missing']!.events.map((e) => e.message)).toContain(`Error: ${error as string}`);
  });
});
