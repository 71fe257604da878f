/** What `npm run mutants` replaces is in the sources: the command itself runs for half an hour, and now and then. */
import { describe, expect, test } from 'vitest';
import { WRITER_MUTANTS } from './engine/writer-mutants.ts';
import { ENGINE_MUTANTS } from './sim/engine-mutants.ts';
import { LOG_MUTANTS } from './store/log-mutants.ts';
import { piecesAround } from './support/mutant.ts';
import { ROOT } from './support/source-code.ts';

describe.each([...LOG_MUTANTS, ...ENGINE_MUTANTS, ...WRITER_MUTANTS])('the mutant "$name"', ({ edits }) => {
  test.each(edits)('replaces what is once in $file', (edit) => {
    expect(piecesAround(edit, ROOT)).toHaveLength(2);
  });
});
