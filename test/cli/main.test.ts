import { expect, test } from 'vitest';
import { isSupportedNode } from '../../src/cli/node-version.ts';

test.each([
  ['v20.20.2', false],
  ['v22.17.9', false],
  ['v22.18.0', true],
  ['v23.11.0', false],
  ['v24.10.0', false],
  ['v24.11.0', true],
  ['v25.0.0', false],
  ['v26.0.0', true],
  ['v30.1.0', true],
  ['nonsense', false],
])('Node.js %s is supported: %s', (version, expected) => {
  expect(isSupportedNode(version)).toBe(expected);
});
