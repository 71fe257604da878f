/** What authors of a `CheckpointStore` import from `tidemark/testing`. Everything else is internal. */
export type { StoreFactory } from './factory.ts';
export { MemoryPlace, MemoryStore } from './memory-store.ts';
export { type SuiteOptions, suite } from './suite.ts';
