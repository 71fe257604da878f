/**
 * Mutations of the engine, each of which takes away one thing that makes an event count once whatever dies. A simulation
 * of deaths, or the test of the supervisor, must fail for each of them. Run by `npm run mutants`.
 */
import type { Mutant } from '../support/mutant.ts';

export const ENGINE_MUTANTS: readonly Mutant[] = [
  {
    name: 'duplicates are not dropped',
    edits: [
      {
        file: 'src/shard/duplicates.ts',
        text: '  if (offsetAddress === 0) return false;',
        with: '  if (offsetAddress >= 0) return false;',
      },
      {
        file: 'src/shard/duplicates.ts',
        text: '    return !isNew && !isLess(u32, word, (address + AT.sequence) >>> 2);',
        with: '    return isNew && isLess(u32, word, (address + AT.sequence) >>> 2);',
      },
    ],
  },
  {
    name: 'a frontier does not mind what the shards have not covered',
    edits: [
      {
        file: 'src/engine/frontiers.ts',
        text: '      if (low !== undefined) least = lesser(least, low);',
        with: '',
      },
    ],
  },
  {
    name: 'the ring does not keep what is in no frame',
    edits: [
      {
        file: 'src/shard/shard.ts',
        text: 'this.#ring.release(this.#poison.from(this.#window.from(this.#ring.position)));',
        with: 'this.#ring.release();',
      },
    ],
  },
  {
    name: 'an event that was under way is not undone',
    edits: [
      {
        file: 'src/engine/handover.ts',
        text: '  if (under !== undefined) directory.undo(under);',
        with: '',
      },
    ],
  },
  {
    name: 'what a stream has read already is read again',
    edits: [
      {
        file: 'src/engine/handover.ts',
        text: 'image === undefined ? framedTo : shard.doneTo;',
        with: 'image === undefined ? framedTo : shard.ring.released;',
      },
    ],
  },
  {
    name: 'an event is skipped, or a stream set aside, without the state being restored before',
    edits: [
      {
        file: 'src/shard/poison.ts',
        text: `    this.#parts.beat();
    this.#goBack(record, stream, last);`,
        with: '',
      },
    ],
  },
  {
    name: 'the ring does not keep what main is to copy of it',
    edits: [
      {
        file: 'src/shard/shard.ts',
        text: 'this.#ring.release(this.#poison.from(this.#window.from(this.#ring.position)));',
        with: 'this.#ring.release(this.#window.from(this.#ring.position));',
      },
    ],
  },
  {
    name: 'what is held out of a stream holds no frontier',
    edits: [
      {
        file: 'src/engine/frontiers.ts',
        text: 'if (frontier !== undefined && offset < frontier) frontier = BigInt(offset);',
        with: 'frontier = frontier;',
      },
    ],
  },
  {
    name: 'another event is read before main can know of one that was given up',
    edits: [
      {
        file: 'src/shard/poison.ts',
        text: `    this.#parts.completions.flush();
    return isDue;`,
        with: '    return isDue;',
      },
    ],
  },
  {
    name: 'another event is read before main can know that a stream goes on',
    edits: [
      {
        file: 'src/shard/poison.ts',
        text: `    this.#parts.frames.checkpoint(stream, end, now);
    // As for what is given up: who has the stream go on waits for this checkpoint, and none may follow.
    this.#parts.completions.flush();`,
        with: '    this.#parts.frames.checkpoint(stream, end, now);',
      },
    ],
  },
  {
    name: 'another event is read before main can know of one that was given up before',
    edits: [
      {
        file: 'src/shard/poison.ts',
        text: `    // As where it is given up: a thread that follows may not come to it again.
    this.#parts.completions.flush();`,
        with: '',
      },
    ],
  },
  {
    name: 'what a stream that is given up had waiting holds no frontier back',
    edits: [
      {
        file: 'src/store/central-store.ts',
        text: '    stream.forgottenLows = waiting.lows;',
        with: '',
      },
    ],
  },
  {
    name: 'what comes of a stream that is given up holds no frontier back',
    edits: [
      {
        file: 'src/store/central-store.ts',
        text: '      this.#pin(stream, frame.lows);',
        with: '',
      },
    ],
  },
  {
    name: 'what is refused of a stream that is given up holds no frontier back',
    edits: [
      {
        file: 'src/store/central-store.ts',
        text: '      stream.forgottenLows = leastLows(frame.lows, stream.forgottenLows);',
        with: '',
      },
    ],
  },
  {
    name: 'what was read of a stream that is passed over holds no frontier back',
    edits: [
      {
        file: 'src/shard/take-over.ts',
        text: '      passOver(stream, sources, table);',
        with: '      stream.isPassedOver = true;',
      },
    ],
  },
  {
    name: 'another thread takes over before the one before it is gone',
    edits: [
      {
        file: 'src/engine/supervisor.ts',
        text: '      await shard.endThread();',
        with: '      void shard.endThread();',
      },
    ],
  },
];
