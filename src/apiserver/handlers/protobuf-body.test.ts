import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { expect, test } from 'vitest';
import { decodeProtobuf } from './protobuf-body.ts';

type Write = (writer: BinaryWriter) => BinaryWriter;
const encode = (write: Write): Uint8Array => write(new BinaryWriter()).finish();
const text = (w: BinaryWriter, field: number, value: string) => w.uint32((field << 3) | 2).string(value);
const nested = (w: BinaryWriter, field: number, write: Write) => w.uint32((field << 3) | 2).bytes(encode(write));

/** As client-go wraps an object. */
const body = (kind: string, raw: Write): Buffer =>
  Buffer.concat([
    Buffer.from('k8s\0'),
    encode((w) =>
      nested(
        nested(w, 1, (t) => text(text(t, 1, 'v1'), 2, kind)),
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
  expect(await decodeProtobuf(body('DeleteOptions', raw))).toMatchObject({
    gracePeriodSeconds: 0,
    preconditions: { uid: 'uid' },
    propagationPolicy: 'Background',
    dryRun: ['All'],
  });
});

test('a kind that nobody sends in this form', async () => {
  expect(await decodeProtobuf(body('Pod', (w) => w))).toBeUndefined();
  expect(await decodeProtobuf(body('toString', (w) => w))).toBeUndefined();
});

test.each([
  ['no magic', Buffer.from('{"kind":"Secret"}')],
  ['cut short', body('Secret', (w) => text(w, 3, 'Opaque')).subarray(0, -3)],
])('%s', async (_, bytes) => {
  await expect(decodeProtobuf(bytes)).rejects.toThrow();
});

test('a Service: numbers and flags that are not set, ports by number and by name', async () => {
  const number = (w: BinaryWriter, field: number, value: number) => w.uint32(field << 3).int64(value);
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
