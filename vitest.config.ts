import { defineConfig } from 'vitest/config';

// The tests are compiled by the same `tsc` as the engine and run from dist: what is tested is what ships, and
// the threads load plain JavaScript.
export default defineConfig({
  test: {
    include: ['dist/test/**/*.test.js'],
    pool: 'forks',
    // All cores: many tests wait for threads, processes or a disk, and none for time.
    maxWorkers: '100%',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    coverage: {
      provider: 'v8',
      include: ['dist/src/**', 'dist/workers/**'],
      reporter: ['text-summary', 'html'],
    },
  },
});
