/** A module that ends its thread when it is loaded. */
import process from 'node:process';
import type { Operator } from '../../../src/index.ts';

process.exit(3);

export default (): readonly Operator[] => [];
