/** What tests of users import as `tidemark/testing`. */
export type { StoreFactory, StorePlace } from './factory.ts';
export { InMemoryPlace, type InMemoryPlaceOptions } from './in-memory-place.ts';
export { type SuiteOptions, suite } from './suite.ts';
