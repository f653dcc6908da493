import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { expect, test } from 'vitest';
import { decodeProtobuf } from './protobuf-body.ts';

type Write = (writer: BinaryWriter) => BinaryWriter;
const encode = (write: Write): Uint8Array => write(new BinaryWriter()).finish();
const text = (w: BinaryWriter, field: number, value: string) => w.uint32((field << 3) | 2).string(value);
const nested = (w: BinaryWriter, field: number, write: Write) => w.uint32((field << 3) | 2).bytes(encode(write));

/** As client-go wraps an object. */
const body = (kind: string, raw: Write, apiVersion = 'v1'): Buffer =>
  Buffer.concat([
    Buffer.from('k8s\0'),
    encode((w) =>
      nested(
        nested(w, 1, (t) => text(text(t, 1, apiVersion), 2, kind)),
        2,
        raw,
      ),
    ),
  ]);

test('a secret: maps, bytes, texts that are not set, fields that are not known', async () => {
  const raw: Write = (w) => {
    nested(w, 1, (meta) => {
      text(text(meta, 1, 's'), 2, '');
      nested(meta, 8, (time) => time);
      nested(meta, 11, (entry) => text(text(entry, 1, 'a'), 2, 'b'));
      nested(meta, 11, (entry) => text(text(entry, 1, 'c'), 2, ''));
      return text(text(meta, 14, 'x.io/f'), 99, 'unknown');
    });
    nested(w, 2, (entry) =>
      text(entry, 1, 'key')
        .uint32((2 << 3) | 2)
        .bytes(Buffer.from([1, 255])),
    );
    return text(w, 3, 'Opaque')
      .uint32(5 << 3)
      .bool(false);
  };
  expect(await decodeProtobuf(body('Secret', raw))).toEqual({
    kind: 'Secret',
    apiVersion: 'v1',
    metadata: { name: 's', labels: { a: 'b', c: '' }, finalizers: ['x.io/f'] },
    data: { key: 'Af8=' },
    type: 'Opaque',
    immutable: false,
  });
});

test('options of a deletion: zero is something else than nothing', async () => {
  const raw: Write = (w) => {
    w.uint32(1 << 3).int64(0);
    nested(w, 2, (p) => text(p, 1, 'uid'));
    return text(text(w, 4, 'Background'), 5, 'All');
  };
  expect(await decodeProtobuf(body('DeleteOptions', raw, 'coordination.k8s.io/v1'))).toMatchObject({
    gracePeriodSeconds: 0,
    preconditions: { uid: 'uid' },
    propagationPolicy: 'Background',
    dryRun: ['All'],
  });
});

test('kinds that are not served: their names are enough to refuse them', async () => {
  expect(await decodeProtobuf(body('Deployment', (w) => w, 'apps/v1'))).toEqual({
    kind: 'Deployment',
    apiVersion: 'apps/v1',
  });
  expect(await decodeProtobuf(body('toString', (w) => w))).toEqual({ kind: 'toString', apiVersion: 'v1' });
});

const number = (w: BinaryWriter, field: number, value: number) => w.uint32(field << 3).int64(value);

test('a pod: inline structs, quantities, lists of numbers, pointers to zero, zeros that JSON leaves out', async () => {
  const raw: Write = (w) => {
    nested(w, 1, (meta) => nested(text(meta, 1, 'p'), 8, (time) => time));
    nested(w, 2, (spec) => {
      nested(spec, 1, (v) =>
        nested(text(v, 1, 'v'), 2, (source) => nested(source, 19, (c) => nested(c, 1, (l) => text(l, 1, 'c')))),
      );
      nested(spec, 2, (c) => {
        text(text(text(c, 1, 'main'), 2, 'busybox'), 5, '');
        nested(c, 7, (env) => text(text(env, 1, 'A'), 2, ''));
        nested(c, 8, (r) => nested(r, 1, (e) => nested(text(e, 1, 'cpu'), 2, (q) => text(q, 1, '100m'))));
        nested(c, 10, (probe) => {
          nested(probe, 1, (handler) =>
            nested(handler, 2, (get) => nested(text(get, 1, '/'), 2, (p) => number(number(p, 1, 0), 2, 80))),
          );
          return number(number(number(probe, 2, 0), 4, 5), 7, 0);
        });
        nested(c, 15, (context) => number(number(number(context, 4, 0), 6, 0), 7, -1));
        return number(number(c, 16, 0), 18, 1);
      });
      number(number(spec, 4, 0), 11, 0);
      return nested(spec, 14, (context) => number(number(context, 4, 0), 4, 7));
    });
    return nested(w, 3, (status) => text(status, 1, ''));
  };
  expect(await decodeProtobuf(body('Pod', raw))).toEqual({
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name: 'p' },
    spec: {
      volumes: [{ name: 'v', configMap: { name: 'c' } }],
      containers: [
        {
          name: 'main',
          image: 'busybox',
          env: [{ name: 'A' }],
          resources: { limits: { cpu: '100m' } },
          livenessProbe: { httpGet: { path: '/', port: 80 }, periodSeconds: 5, terminationGracePeriodSeconds: 0 },
          securityContext: { runAsUser: 0, readOnlyRootFilesystem: false, allowPrivilegeEscalation: true },
          tty: true,
        },
      ],
      terminationGracePeriodSeconds: 0,
      securityContext: { supplementalGroups: [0, 7] },
    },
    status: {},
  });
});

test('a lease: microseconds', async () => {
  const raw: Write = (w) =>
    nested(w, 2, (spec) => nested(number(spec, 2, 40), 4, (time) => number(number(time, 1, 86400), 2, 7000)));
  expect(await decodeProtobuf(body('Lease', raw, 'coordination.k8s.io/v1'))).toMatchObject({
    spec: { leaseDurationSeconds: 40, renewTime: '1970-01-02T00:00:00.000007Z' },
  });
});

test.each([
  ['no magic', Buffer.from('{"kind":"Secret"}')],
  ['cut short', body('Secret', (w) => text(w, 3, 'Opaque')).subarray(0, -3)],
])('%s', async (_, bytes) => {
  await expect(decodeProtobuf(bytes)).rejects.toThrow();
});

test('a Service: numbers and flags that are not set, ports by number and by name', async () => {
  const target = (w: BinaryWriter, kind: number, int: number, name: string) =>
    nested(w, 4, (t) => text(number(number(t, 1, kind), 2, int), 3, name));
  const raw: Write = (w) => {
    nested(w, 1, (meta) => text(meta, 1, 's'));
    return nested(w, 2, (spec) => {
      nested(spec, 1, (p) => number(target(number(text(p, 1, 'a'), 3, 80), 0, 8080, ''), 5, 0));
      nested(spec, 1, (p) => number(target(number(text(p, 1, 'b'), 3, 81), 1, 0, 'web'), 5, 30080));
      nested(spec, 2, (entry) => text(text(entry, 1, 'app'), 2, 'a'));
      text(text(spec, 3, ''), 4, 'NodePort');
      number(spec, 12, 0);
      return number(spec, 13, 0);
    });
  };
  expect(await decodeProtobuf(body('Service', raw))).toEqual({
    kind: 'Service',
    apiVersion: 'v1',
    metadata: { name: 's' },
    spec: {
      ports: [
        { name: 'a', port: 80, targetPort: 8080 },
        { name: 'b', port: 81, targetPort: 'web', nodePort: 30080 },
      ],
      selector: { app: 'a' },
      type: 'NodePort',
    },
  });
});
