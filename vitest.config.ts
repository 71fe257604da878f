import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Forks, not threads: tests start worker threads, kill processes and map shared memory.
    pool: 'forks',
    // Tests measure memory and restart whole processes; more at once than cores makes them wait on each other.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
