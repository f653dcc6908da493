import { chmod, copyFile, cp, mkdir, realpath, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BASE_PACKAGES, finishDebianRoot, unpackAlone, unpackWithDependencies } from './debian-packages.ts';
import { IMAGE_PATH, type Image, packLayer } from './oci-image.ts';
import { runCommand } from './run-command.ts';

/**
 * Makes the images that stand in for the real ones where no registry is in reach.
 * @param work an existing empty directory; the layers stay in it
 */
export async function makeImages(work: string): Promise<Image[]> {
  const tools = join(work, 'tools');
  await mkdir(tools);
  const [, nginxImage] = await Promise.all([
    unpackAlone(['busybox-static', 'catatonit'], tools, join(work, 'tools.debs')),
    nginx(work),
  ]);
  const base = await busybox(work, join(tools, 'bin/busybox'));
  return [nginxImage, base, await webapl(work, base), await pause(work, join(tools, 'usr/bin/catatonit'))];
}

/** One static program and its links, as the official image has it. */
async function busybox(work: string, program: string): Promise<Image> {
  const root = join(work, 'busybox');
  for (const name of ['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'tmp', 'usr/bin', 'usr/sbin', 'var/spool']) {
    await mkdir(join(root, name), { recursive: true });
  }
  await chmod(join(root, 'tmp'), 0o1777);
  await copyFile(program, join(root, 'bin/busybox'));
  for (const applet of (await runCommand(program, ['--list'])).trim().split('\n')) {
    if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
  }
  await writeFile(
    join(root, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
  );
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nwww-data:x:33:\nnobody:x:65534:\n');
  const layer = await packLayer(root, join(work, 'busybox.tar'));
  return {
    repository: 'library/busybox',
    tags: ['latest', '1.36'],
    layers: [layer],
    config: { Cmd: ['sh'], Env: [IMAGE_PATH] },
  };
}

/** A Debian root with nginx and bash, set up like the official image: foreground, port 80, logs to the container's output. */
async function nginx(work: string): Promise<Image> {
  const root = join(work, 'nginx');
  await mkdir(root);
  await unpackWithDependencies(['nginx-light', 'curl', ...BASE_PACKAGES], root, join(work, 'nginx.debs'));
  await finishDebianRoot(root);
  await mkdir(join(root, 'usr/share/nginx/html'), { recursive: true });
  await writeFile(join(root, 'usr/share/nginx/html/index.html'), '<h1>Welcome to nginx!</h1>\n');
  await writeFile(
    join(root, 'etc/nginx/nginx.conf'),
    `user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log /dev/stderr notice;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  server {
    listen 80;
    root /usr/share/nginx/html;
  }
}
`,
  );
  return {
    repository: 'library/nginx',
    tags: ['latest'],
    layers: [await packLayer(root, join(work, 'nginx.tar'))],
    config: {
      Cmd: ['nginx', '-g', 'daemon off;'],
      Env: [IMAGE_PATH],
      ExposedPorts: { '80/tcp': {} },
      StopSignal: 'SIGQUIT',
    },
  };
}

/** A Node server over busybox: this very Node, with the libraries that it is linked against. */
async function webapl(work: string, base: Image): Promise<Image> {
  const root = join(work, 'webapl');
  const node = await realpath(process.execPath);
  const libraries = (await runCommand('ldd', [node])).match(/\/\S+(?= \()/g) ?? [];
  await mkdir(join(root, 'app'), { recursive: true });
  await mkdir(join(root, 'usr/local/bin'), { recursive: true });
  await copyFile(node, join(root, 'usr/local/bin/node'));
  for (const library of libraries) {
    await mkdir(dirname(join(root, library)), { recursive: true });
    await cp(await realpath(library), join(root, library));
  }
  await copyFile(join(dirname(fileURLToPath(import.meta.url)), 'webapl-server.js'), join(root, 'app/server.js'));
  return {
    repository: 'maho/webapl',
    tags: ['0.1'],
    layers: [...base.layers, await packLayer(root, join(work, 'webapl.tar'))],
    config: { Cmd: ['node', 'server.js'], Env: [IMAGE_PATH], WorkingDir: '/app', ExposedPorts: { '3000/tcp': {} } },
  };
}

/**
 * The process that keeps a pod's namespaces and reaps its orphans: catatonit, which Podman uses for the same. By absolute path,
 * since containerd gives a sandbox no default PATH.
 */
async function pause(work: string, program: string): Promise<Image> {
  const root = join(work, 'pause');
  await mkdir(root);
  await copyFile(program, join(root, 'pause'));
  return {
    repository: 'pause',
    tags: ['3.10'],
    layers: [await packLayer(root, join(work, 'pause.tar'))],
    config: { Entrypoint: ['/pause', '-P'], Env: [IMAGE_PATH], StopSignal: 'SIGINT' },
  };
}
