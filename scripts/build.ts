/**
 * Builds dist/: kubelette.js (the command; each subcommand's parts in a chunk of their own, loaded when used), node.js (the library)
 * and types/ (its declarations). Dependencies are bundled, so that the command starts fast and runs from any directory.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const start = performance.now();
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

rmSync(join(root, 'dist'), { recursive: true, force: true });
await build({
  cwd: root,
  input: { kubelette: 'src/cli/main.ts', node: 'src/node.ts' },
  platform: 'node',
  tsconfig: join(root, 'tsconfig.json'),
  transform: { define: { 'process.env.KUBELETTE_VERSION': JSON.stringify(version) } },
  output: {
    dir: 'dist',
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    minify: { compress: true, mangle: false, codegen: false },
  },
});
const types = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (types.status !== 0 || !existsSync(join(root, 'dist/types/node.d.ts'))) {
  console.error('build: tsc could not write the declarations (see above)');
  process.exitCode = 1;
} else {
  console.log(`build: dist/ is ready (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}
