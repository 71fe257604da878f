/** The tally without the operators that stood beside it. */
import type { Operator } from '../../../src/index.ts';
import { tally } from './tally.ts';

export default (): readonly Operator[] => [tally];
