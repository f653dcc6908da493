import { chmod, copyFile, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BASE_PACKAGES, finishDebianRoot, unpackWithDependencies } from '../debian-packages.ts';
import { IMAGE_PATH, type Image, packLayer } from '../oci-image.ts';

const here = dirname(fileURLToPath(import.meta.url));

/** The images of examples/wordpress. @param work an existing empty directory; the layers stay in it */
export async function makeWordPressImages(work: string): Promise<Image[]> {
  return Promise.all([wordpress(work), mariadb(work)]);
}

/** Debian's WordPress, Apache and PHP, laid out as in the official image: the content waits in /usr/src/wordpress. */
async function wordpress(work: string): Promise<Image> {
  const root = join(work, 'wordpress');
  const packages = ['wordpress', 'wordpress-theme-twentytwentythree', 'libapache2-mod-php', 'php-mysql'];
  await mkdir(root);
  await unpackWithDependencies([...packages, ...BASE_PACKAGES], root, join(work, 'wordpress.debs'));
  await finishDebianRoot(root);
  // Links that lead to other packages are followed, since this directory is copied; Debian's own settings stay behind.
  const content = join(root, 'usr/src/wordpress');
  const isDebians = (path: string): boolean => path.endsWith('/.htaccess') || path.endsWith('/wp-config.php');
  await authorities(root);
  await cp(join(root, 'usr/share/wordpress'), content, {
    recursive: true,
    dereference: true,
    filter: (path) => !isDebians(path) && !path.endsWith('/ca-bundle.crt'),
  });
  await copyFile(
    join(root, 'etc/ssl/certs/ca-certificates.crt'),
    join(content, 'wp-includes/certificates/ca-bundle.crt'),
  );
  await copyFile(join(here, 'wp-config-docker.php'), join(content, 'wp-config-docker.php'));
  await copyFile(join(here, 'apache2.conf'), join(root, 'etc/apache2/apache2.conf'));
  await mkdir(join(root, 'etc/php/8.2/apache2'), { recursive: true });
  await copyFile(join(here, 'php.ini'), join(root, 'etc/php/8.2/apache2/php.ini'));
  await copyScript('apache2-foreground', root);
  await mkdir(join(root, 'var/www/html'), { recursive: true });
  return {
    repository: 'library/wordpress',
    tags: ['latest', '6'],
    layers: [await packLayer(root, join(work, 'wordpress.tar'))],
    config: {
      Cmd: ['apache2-foreground'],
      Env: [IMAGE_PATH],
      WorkingDir: '/var/www/html',
      ExposedPorts: { '80/tcp': {} },
      StopSignal: 'SIGWINCH',
    },
  };
}

/** What the package's maintainer script makes of the certificates: one file. */
async function authorities(root: string): Promise<void> {
  const directory = join(root, 'usr/share/ca-certificates/mozilla');
  const files = (await readdir(directory)).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')));
  await writeFile(join(root, 'etc/ssl/certs/ca-certificates.crt'), texts.join(''));
}

/** Debian's MariaDB, which takes from its environment what the official image takes. */
async function mariadb(work: string): Promise<Image> {
  const root = join(work, 'mariadb');
  await mkdir(root);
  await unpackWithDependencies(['mariadb-server', 'hostname', ...BASE_PACKAGES], root, join(work, 'mariadb.debs'));
  await finishDebianRoot(root, ['mysql:999']);
  await copyScript('mariadb-entrypoint', root);
  await symlink('mariadb-entrypoint', join(root, 'usr/local/bin/docker-entrypoint.sh'));
  return {
    repository: 'library/mariadb',
    tags: ['latest', '11'],
    layers: [await packLayer(root, join(work, 'mariadb.tar'))],
    config: { Cmd: ['mariadb-entrypoint'], Env: [IMAGE_PATH], ExposedPorts: { '3306/tcp': {} } },
  };
}

async function copyScript(name: string, root: string): Promise<void> {
  const target = join(root, 'usr/local/bin', name);
  await mkdir(dirname(target), { recursive: true });
  await copyFile(join(here, name), target);
  await chmod(target, 0o755);
}
