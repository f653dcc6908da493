/**
 * Builds dist/: kubelette.js (the command; each subcommand's parts in a chunk of their own, loaded when used), node.js (the library)
 * and types/ (its declarations). Dependencies are bundled, so that the command starts fast and runs from any directory.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'rolldown';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
/** One such character, and V8 keeps the whole source of a chunk, which stays in memory, at two bytes a character instead of one. */
const BEYOND_LATIN_1 = /[\u0100-\uffff]/g;
const escapeSequence = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/**
 * `import ... from 'node:http'` reads all that it exports, and what is read so is loaded: WebSocket, and with it all of undici, 3 MB that
 * an idle agent would hold. So what is imported by name is taken from the module itself; what is loaded when asked for is left out.
 */
const httpWithoutUndici: Plugin = {
  name: 'http-without-undici',
  resolveId: (id, _, { kind }) => (kind === 'import-statement' && id === 'node:http' ? '\0node:http' : null),
  load: (id) => {
    if (id !== '\0node:http') return null;
    const properties = Object.entries(Object.getOwnPropertyDescriptors(http));
    const names = properties.filter(([, { get }]) => !get).map(([name]) => name);
    return [
      `const http = process.getBuiltinModule('node:http');`,
      ...names.map((x) => `export const ${x} = http.${x};`),
    ].join('\n');
  },
};

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
    comments: { legal: true, annotation: false, jsdoc: false },
  },
  plugins: [
    httpWithoutUndici,
    {
      name: 'latin-1-only',
      generateBundle(_, bundle) {
        for (const file of Object.values(bundle)) {
          if (file.type === 'chunk') file.code = file.code.replace(BEYOND_LATIN_1, escapeSequence);
        }
      },
    },
  ],
});
const types = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
if (types.status !== 0 || !existsSync(join(root, 'dist/types/node.d.ts'))) {
  console.error('build: tsc could not write the declarations (see above)');
  process.exitCode = 1;
} else {
  console.log(`build: dist/ is ready (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}
