import { defineConfig } from 'vitest/config';

// unit: pure parts and fakes, no root needed. runtime: the RuntimeService cases on a real containerd.
// e2e: the whole agent, driven by the real kubectl; needs root, containerd and the stand-in registry (`make test` starts it).
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
          globalSetup: ['test/e2e/global-setup.ts'],
          pool: 'forks',
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
