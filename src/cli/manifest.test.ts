import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { readManifest } from '../api/manifest.ts';
import { ApiStatusError } from '../api/status-error.ts';
import type { UserError } from '../lib/errors.ts';
import { locateError, locateWarning, readManifestFiles } from './manifest.ts';

const POD = `# comment
apiVersion: v1
kind: Pod
metadata:
  name: p
spec:
  containers:
  - name: app
    imge: nginx
    ports:
    - containerPort: 0
`;

test('objects get the namespace when they name none; cluster objects do not', async () => {
  const stdin = new PassThrough();
  stdin.end(
    `${POD}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: own}\n---\n` +
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: nn}\n',
  );
  const objects = await readManifestFiles({ stdin, cwd: '/' }, ['-'], 'dev');
  expect(objects.map((o) => o.object.metadata)).toEqual([
    { name: 'p', namespace: 'dev' },
    { name: 'c', namespace: 'own' },
    { name: 'nn' },
  ]);
});

test('a file that is not there', async () => {
  await expect(readManifestFiles({ stdin: new PassThrough(), cwd: '/nowhere' }, ['x.yaml'], 'd')).rejects.toThrow(
    'x.yaml: no such file',
  );
});

test('the server’s verdict gets the places of the fields', () => {
  const [pod] = readManifest(POD, 'f.yaml');
  const invalid = new ApiStatusError(422, 'Invalid', 'Pod "p" is invalid: ...', {
    causes: [
      { field: 'spec.containers[0].image', message: 'Required value' },
      { field: 'spec.containers[0].ports[0].containerPort', message: 'Required value' },
    ],
  });
  expect((locateError(invalid, pod!) as UserError).message).toBe(
    'Pod "p" is invalid:\nf.yaml:8:5: spec.containers[0].image: Required value\n' +
      'f.yaml:11:7: spec.containers[0].ports[0].containerPort: Required value',
  );
  const strict = new ApiStatusError(
    400,
    'BadRequest',
    'strict decoding error: unknown field "spec.containers[0].imge"',
  );
  expect((locateError(strict, pod!) as UserError).message).toBe(
    'Pod "p" has fields that do not exist:\nf.yaml:9:5: unknown field "spec.containers[0].imge"',
  );
  const text = POD.replace('containerPort: 0', 'containerPort: "81"');
  const mistyped = new ApiStatusError(
    400,
    'BadRequest',
    'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field ' +
      'ContainerPort.spec.containers.ports.containerPort of type int32',
  );
  expect((locateError(mistyped, readManifest(text, 'f.yaml')[0]!) as UserError).message).toBe(
    'Pod "p" cannot be decoded:\nf.yaml:11:7: spec.containers[0].ports[0].containerPort: cannot unmarshal string into Go struct ' +
      'field ContainerPort.spec.containers.ports.containerPort of type int32',
  );
  const quantity = new ApiStatusError(
    400,
    'BadRequest',
    'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression',
  );
  expect((locateError(quantity, pod!) as UserError).message).toBe(
    'Pod "p" cannot be decoded:\nf.yaml:2:1: quantities must match the regular expression',
  );
  expect(locateWarning('unknown field "spec.containers[0].imge"', pod!)).toBe(
    'f.yaml:9:5: unknown field "spec.containers[0].imge"',
  );
  expect(locateWarning('spec.containers[0].ports: not yet', pod!)).toBe(
    'f.yaml:10:5: spec.containers[0].ports: not yet',
  );
  expect(locateWarning('something general', pod!)).toBe('something general');
});
