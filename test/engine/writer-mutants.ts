/**
 * Mutations of what brings the store writer back, each of which takes away one thing that makes its death survivable. A
 * test of its deaths must fail for each of them. Run by `npm run mutants`.
 */
import type { Mutant } from '../support/mutant.ts';

const SUPERVISED = 'src/engine/supervised-log.ts';

export const WRITER_MUTANTS: readonly Mutant[] = [
  {
    name: 'what the log has already is written again',
    edits: [
      {
        file: 'src/store/log/log-store.ts',
        text: 'batch.isRepeated === true ? this.withoutHeld(batch.frames) : batch.frames;',
        with: 'batch.frames;',
      },
    ],
  },
  {
    name: 'what the log has is left out of the midst of what it has not',
    edits: [
      {
        file: 'src/store/log/log-store.ts',
        text: 'frames.slice(missing);',
        with: 'frames.filter((frame) => !this.holds(frame));',
      },
    ],
  },
  {
    name: 'of merged commits that are refused together, each is tried as if nothing of it were there',
    edits: [
      {
        file: 'src/store/log/writer-server.ts',
        text: 'this.commit([{ ...request, isRepeated: true }]);',
        with: 'this.commit([request]);',
      },
    ],
  },
  {
    name: 'a store writer is replaced before its thread is gone',
    edits: [
      {
        file: SUPERVISED,
        text: '      await this.#writer.destroy();\n      // Each has been rejected',
        with: '      void this.#writer.destroy();\n      // Each has been rejected',
      },
    ],
  },
  {
    name: 'a store that has failed to write gets another writer',
    edits: [{ file: SUPERVISED, text: '      if (broken !== undefined) throw broken;\n', with: '' }],
  },
  {
    name: 'a call that its writer did not answer is taken for done',
    edits: [
      {
        file: SUPERVISED,
        text: 'if (error !== client.failure) answered(() => reject(error));',
        with: 'answered(() => (error === client.failure ? resolve(undefined as never) : reject(error)));',
      },
    ],
  },
  {
    name: 'whoever has opened the directory in between is not noticed',
    edits: [
      {
        file: SUPERVISED,
        text: '    if (generation > generations.now + BigInt(this.#openings)) throw fenced(generation);\n',
        with: '',
      },
    ],
  },
  {
    name: 'a last commit that is gone is not missed',
    edits: [{ file: SUPERVISED, text: 'lowered || lastCommit < this.#lastCommit', with: 'lowered' }],
  },
  {
    name: 'writers die in a row without end',
    edits: [{ file: SUPERVISED, text: '      this.#deaths += 1;\n', with: '' }],
  },
];
