/** What `npm run mutants` replaces is in the sources: the command itself runs for half an hour, and now and then. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { WRITER_MUTANTS } from './engine/writer-mutants.ts';
import { ENGINE_MUTANTS } from './sim/engine-mutants.ts';
import { LOG_MUTANTS } from './store/log-mutants.ts';
import { ROOT } from './support/source-code.ts';

describe.each([...LOG_MUTANTS, ...ENGINE_MUTANTS, ...WRITER_MUTANTS])('the mutant "$name"', ({ edits }) => {
  test.each(edits)('replaces what is once in $file', ({ file, text }) => {
    const pieces = readFileSync(join(ROOT, file), 'utf8').split(text);
    expect(pieces).toHaveLength(2);
  });
});
