/** A module that never finishes loading. */
import type { Operator } from '../../../src/index.ts';

await new Promise(() => undefined);

export default (): readonly Operator[] => [];
