import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

// unit: pure parts and fakes, no root needed. runtime: the RuntimeService cases on a real containerd.
// e2e: the whole agent, driven by the real kubectl; needs root, containerd and the stand-in registry (`make test` starts it).
// e2e-quiet: those of them that compare times with what they should be; `make e2e` runs them when everything else is over.
const QUIET = ['test/e2e/simulate.test.ts'];
const onTheHost: TestProjectInlineConfiguration['test'] = {
  globalSetup: ['test/e2e/global-setup.ts'],
  pool: 'forks',
  testTimeout: 120_000,
  hookTimeout: 120_000,
  // Others on the same machine can hold up a start for longer than a test allows. The sum at the end names what needed a second try.
  retry: 1,
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'test/unit/**/*.test.ts',
            'test/sim/**/*.test.ts',
            'test/stand-ins/**/*.test.ts',
          ],
          exclude: ['src/**/*.real.test.ts'],
          pool: 'threads',
          isolate: false,
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['src/**/*.real.test.ts', 'test/e2e/**/*.test.ts'],
          exclude: QUIET,
          ...onTheHost,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'e2e-quiet',
          include: QUIET,
          ...onTheHost,
          maxWorkers: 1,
        },
      },
    ],
  },
});
