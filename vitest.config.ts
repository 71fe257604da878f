import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** Threads and processes of the tests load what an earlier one compiled: they start in half the time. */
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules', '.cache', 'compile');

/**
 * Node strips types by WebAssembly, in each thread that is the first to load a .ts file. When threads start and end
 * side by side, V8 may free the wrapper of an imported function that another thread is compiling
 * (WasmImportWrapperCache in Node 24.21), and the process ends with SIGSEGV or "Check failed: jit_page.has_value()".
 * After so many calls only would one be compiled. The package has no part in it: it is JavaScript, and its kernel
 * imports no function.
 */
const WITHOUT_WRAPPERS = '--wasm-wrapper-tiering-budget=1000000000';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Forks, not threads: tests start worker threads, kill processes and map shared memory.
    pool: 'forks',
    execArgv: [WITHOUT_WRAPPERS],
    // Tests measure memory and restart whole processes; more at once than cores makes them wait on each other.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
