import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EndpointSlice, Service } from '../../src/api/generated/types.ts';
import { type StandIns, startStandIns } from '../stand-ins/start-stand-ins.ts';
import { eventually } from './harness/eventually.ts';
import { outputOf } from './harness/run-process.ts';
import { hasKubectl, isReady, TestNode } from './harness/test-node.ts';

// examples/wordpress, from its start without a database to the loss of it. The images are a set of their own, made for this file.

const CHROMIUM = '/usr/bin/chromium';
const SCREENSHOT = join(import.meta.dirname, '../../.cache/test-results/wordpress.png');
const example = (name: string): string => join(import.meta.dirname, '../../examples/wordpress', `${name}.yaml`);

let standIns: StandIns | undefined;
let node: TestNode;
beforeAll(async () => {
  if (!hasKubectl()) return;
  standIns = await startStandIns((text) => console.log(text), 'wordpress');
  const { registryMirror, resolvConf } = standIns;
  node = await TestNode.start({ args: ['--registry-mirror', registryMirror, '--resolv-conf', resolvConf] });
}, 400_000);
afterAll(async () => {
  await node?.purge();
  await node?.expectNothingLeft();
  await standIns?.stop();
});

const clusterIP = async (name: string): Promise<string> =>
  (await node.api.get<Service>(`/api/v1/namespaces/default/services/${name}`)).spec!.clusterIP!;
/** How many pods get the Service's traffic. */
async function members(service: string): Promise<number> {
  const query = `labelSelector=${encodeURIComponent(`kubernetes.io/service-name=${service}`)}`;
  const path = `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?${query}`;
  const { items } = await node.api.get<{ items: EndpointSlice[] }>(path);
  return items.flatMap(({ endpoints = [] }) => endpoints).filter(({ conditions }) => conditions?.ready).length;
}

/** What headless Chromium makes of a page: its document, and with `screenshot` a picture in that file. */
async function browse(url: string, screenshot?: string): Promise<string> {
  const profile = await mkdtemp(join(tmpdir(), 'kubelette-chromium-'));
  try {
    const quiet = ['--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update'];
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-sync',
      `--user-data-dir=${profile}`,
      ...quiet,
    ];
    const page = ['--window-size=1200,1000', screenshot ? `--screenshot=${screenshot}` : '--dump-dom', url];
    return await outputOf(CHROMIUM, [...flags, ...page], { env: { HOME: profile } });
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}

test('the page is served only while the database answers', { timeout: 240_000 }, async ({ skip, annotate }) => {
  skip(!hasKubectl(), 'needs kubectl 1.27 or newer');

  // WordPress alone: its content is there, it runs, and it takes no part in its Service.
  await node.kubectl('apply', '-f', example('wordpress'));
  const alone = await node.podUntil('wordpress', (pod) => pod?.status?.phase === 'Running', { timeoutMs: 90_000 });
  expect(isReady(alone)).toBe(false);
  await eventually(async () => {
    const messages = (await node.events('wordpress')).map(({ message }) => message);
    expect(messages).toContain('Readiness probe failed: HTTP probe failed with statuscode: 500');
  }, 20_000);
  const site = `http://${await clusterIP('wordpress')}`;
  expect(await members('wordpress')).toBe(0);
  await expect(fetch(site)).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } });

  // With its database, which it finds by the name of the Service: the page is served.
  await node.kubectl('apply', '-f', example('mariadb'));
  await Promise.all(['mariadb', 'wordpress'].map((name) => node.podReady(name, { timeoutMs: 90_000 })));
  await eventually(async () => expect((await fetch(site, { redirect: 'manual' })).status).toBe(302));
  const form = new URLSearchParams({
    weblog_title: 'Traffic goes only where it is ready',
    user_name: 'admin',
    admin_password: 'a-password-for-this-machine-only',
    admin_password2: 'a-password-for-this-machine-only',
    admin_email: 'admin@example.com',
    blog_public: '0',
  });
  const installed = await fetch(`${site}/wp-admin/install.php?step=2`, { method: 'POST', body: form });
  expect(await installed.text()).toContain('WordPress has been installed');
  expect(await (await fetch(site)).text()).toContain('<title>Traffic goes only where it is ready</title>');

  if (existsSync(CHROMIUM)) {
    const dom = await browse(site);
    expect(dom).toContain('Hello world!');
    await mkdir(join(SCREENSHOT, '..'), { recursive: true });
    await browse(site, SCREENSHOT);
    const png = await readFile(SCREENSHOT);
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    await annotate(`the page as Chromium shows it: ${SCREENSHOT}`);
  } else await annotate('There is no Chromium on this machine: nobody looked at the page.');

  // Without it again: WordPress leaves, is not restarted, and comes back with what the database kept.
  const left = node.podUntil('wordpress', (pod) => !isReady(pod));
  await node.kubectl('exec', 'mariadb', '--', 'sh', '-c', 'kill 1');
  await left;
  await eventually(async () => expect(await members('wordpress')).toBe(0), 2000, 10);
  const back = await node.podReady('wordpress', { timeoutMs: 60_000 });
  expect(back.status?.containerStatuses?.[0]?.restartCount).toBe(0);
  expect((await node.pod('mariadb')).status?.containerStatuses?.[0]?.restartCount).toBe(1);
  await eventually(async () =>
    expect(await (await fetch(site)).text()).toContain('<title>Traffic goes only where it is ready</title>'),
  );
});
