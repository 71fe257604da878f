/**
 * Makes the golden directories beside it: `node test/golden/directories/make.ts NAME...`. They are what tidemark of some
 * day left on a disk, so they are not made again when the code changes; a new format gets new ones.
 * `before-index` and `before-index-killed` come from commit 0435637, which knew no INDEX records: put this file in the same
 * place of a checkout of it and run it there.
 */
import fs from 'node:fs';
import { basename } from 'node:path';
import { gzipSync } from 'node:zlib';
import { frameOf } from '../../store/support/frames.ts';
import { DIRECTORY, openOn } from '../../store/support/log.ts';
import { SimulatedDisk } from '../../store/support/simulated-disk.ts';

const OPTIONS = { diskBytes: 1024 * 1024, segmentBytesMax: 64 * 1024, perStream: 2 };

interface GoldenExpectation {
  readonly streams: Record<string, string[]>;
  readonly frontiers: Record<string, string>;
}

class Maker {
  readonly disk = new SimulatedDisk();
  private readonly log = openOn(this.disk, OPTIONS);
  private sequence = 0;

  get store() {
    return this.log.store;
  }

  commit(...streams: string[]): void {
    this.sequence += 1;
    const frames = streams.map((stream) =>
      frameOf(stream, this.sequence, { stateBytes: 100 + 97 * (this.sequence % 50) }),
    );
    const frontiers = new Map([['source', BigInt(this.sequence)]]);
    this.store.commit({ frames, frontiers, generation: this.log.generation });
  }

  /** Commits of several frames, replaced and removed checkpoints, several segments. */
  work(commits: number): void {
    for (let i = 0; i < commits; i++) {
      this.commit(`rare-${i % 30}`, `often-${i % 3}`, 'always');
      if (i % 20 === 7) this.store.deleteBefore('always', BigInt(this.sequence));
      if (i % 25 === 11) this.store.forget(`rare-${(i - 1) % 30}`);
      if (i % 10 === 3) this.store.idleStep();
    }
  }

  /** What the store has, which an opening must find. */
  expectation(): GoldenExpectation {
    const streams: Record<string, string[]> = {};
    for (const stream of [...this.store.streams()].sort()) {
      streams[stream] = this.store.list(stream).map(({ sequence }) => String(sequence));
    }
    return { streams, frontiers: { source: String(this.sequence) } };
  }
}

const MAKERS: Record<string, () => [SimulatedDisk, GoldenExpectation]> = {
  closed: () => closed(25),
  killed: () => killed(25),
  torn() {
    const maker = new Maker();
    maker.work(25);
    const expected = maker.expectation();
    maker.disk.before = (operation) => {
      if (operation === 'datasync') throw new Error('the power failed');
    };
    try {
      maker.commit('torn', 'always', 'often-1');
    } catch {
      // The power failed; of the commit every third sector is not there.
    }
    let sector = 0;
    return [maker.disk.crash(() => ++sector % 3 !== 0), expected];
  },
  recycled: () => killed(150),
  'before-index': () => closed(150),
  'before-index-killed': () => killed(25),
};

function closed(commits: number): [SimulatedDisk, GoldenExpectation] {
  const maker = new Maker();
  maker.work(commits);
  const expected = maker.expectation();
  maker.store.close();
  return [maker.disk, expected];
}

function killed(commits: number): [SimulatedDisk, GoldenExpectation] {
  const maker = new Maker();
  maker.work(commits);
  return [maker.disk.copy(), maker.expectation()];
}

for (const name of process.argv.slice(2)) {
  const make = MAKERS[name];
  if (make === undefined) throw new Error(`no such directory: ${name}`);
  const [disk, expected] = make();
  const files: Record<string, string> = {};
  for (const file of (disk.list(DIRECTORY) ?? []).sort()) {
    const bytes = disk.bytesOf(`${DIRECTORY}/${basename(file)}`);
    files[file] = gzipSync(bytes, { level: 9 }).toString('base64');
  }
  const target = new URL(`${name}.json`, import.meta.url);
  fs.writeFileSync(target, `${JSON.stringify({ options: OPTIONS, expected, files }, undefined, 1)}\n`);
}
