import { expect, test } from 'vitest';
import { parseImageName } from './image-name.ts';

const digest = `sha256:${'0a'.repeat(32)}`;

test.each([
  ['busybox', 'busybox:latest', 'docker.io/library/busybox:latest'],
  ['busybox:1.36', 'busybox:1.36', 'docker.io/library/busybox:1.36'],
  ['maho/webapl:0.1', 'maho/webapl:0.1', 'docker.io/maho/webapl:0.1'],
  ['docker.io/nginx', 'docker.io/nginx:latest', 'docker.io/library/nginx:latest'],
  ['index.docker.io/nginx', 'index.docker.io/nginx:latest', 'docker.io/library/nginx:latest'],
  ['registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10', 'registry.k8s.io/pause:3.10'],
  ['localhost/app', 'localhost/app:latest', 'localhost/app:latest'],
  ['localhost:5000/app', 'localhost:5000/app:latest', 'localhost:5000/app:latest'],
  ['[fd00::1]:5000/a/b:c', '[fd00::1]:5000/a/b:c', '[fd00::1]:5000/a/b:c'],
  [`busybox@${digest}`, `busybox@${digest}`, `docker.io/library/busybox@${digest}`],
  [`busybox:1@${digest}`, `busybox:1@${digest}`, `docker.io/library/busybox:1@${digest}`],
])('%s', (image, requested, canonical) => {
  expect(parseImageName(image)).toEqual({ ok: true, requested, canonical });
});

test.each([
  ['Busybox', 'invalid reference format: repository name (library/Busybox) must be lowercase'],
  ['busybox:', 'invalid reference format'],
  ['busy box', 'invalid reference format'],
  ['a//b', 'invalid reference format'],
  ['busybox@sha256:12', 'invalid reference format'],
  ['-x', 'invalid reference format'],
  [`busybox:${'t'.repeat(129)}`, 'invalid reference format'],
  [`x/${'a'.repeat(256)}`, 'repository name must not be more than 255 characters'],
  ['a'.repeat(64), `invalid repository name (${'a'.repeat(64)}), cannot specify 64-byte hexadecimal strings`],
])('%s is refused', (image, why) => {
  expect(parseImageName(image)).toEqual({ ok: false, message: `couldn't parse image name "${image}": ${why}` });
});
