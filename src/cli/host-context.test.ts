import { mkdtempSync, rmSync } from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { loadEndpoint } from './host-context.ts';

const rootDir = mkdtempSync(join(tmpdir(), 'kubelette-context-'));
const server = { rootDir, kubeconfig: join(rootDir, 'kubeconfig'), namespace: 'default' };
afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  rmSync(rootDir, { recursive: true, force: true });
});

it('tells a node that may not be used from none', async () => {
  const ask = (): Promise<unknown> => loadEndpoint(server);
  await expect(ask()).rejects.toThrow(`no node runs here: there is no ${server.kubeconfig}`);
  vi.spyOn(promises, 'access').mockRejectedValue(Object.assign(new Error('EACCES'), { code: 'EACCES' }));
  syncBuiltinESMExports();
  await expect(ask()).rejects.toMatchObject({
    message: `permission denied: ${server.kubeconfig} is not yours to read`,
    hint: 'Run the same command with sudo, or name other credentials with --kubeconfig.',
  });
});
