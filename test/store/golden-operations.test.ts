/**
 * What a log does to its files, operation by operation, as recorded in test/golden/operations: nothing is durable in
 * another order than these say. `npm run golden` writes them again; what changes in them is for a review to judge.
 */
import { expect, test } from 'vitest';
import { type OpenedLog, openLog } from '../../src/store/log/open-log.ts';
import { frameOf } from './support/frames.ts';
import { DIRECTORY, MIB, newestOf, portsOn } from './support/log.ts';
import { RecordedFileSystem } from './support/recorded-file-system.ts';
import { SimulatedDisk } from './support/simulated-disk.ts';

const OPTIONS = { diskBytes: MIB, perStream: 2 };

/** A log whose operations are written down under headings; those before the first heading are not. */
class Recording {
  readonly disk: SimulatedDisk;
  readonly text: string[] = [];
  private fileSystem: RecordedFileSystem;
  private sequence = 0;
  log: OpenedLog | undefined;

  constructor(disk = new SimulatedDisk()) {
    this.disk = disk;
    this.fileSystem = new RecordedFileSystem(disk);
  }

  under(heading: string, work: () => void): void {
    const from = this.fileSystem.lines.length;
    work();
    this.text.push(`# ${heading}`, ...this.fileSystem.lines.slice(from), '');
  }

  /** Repeats `work` until it does something like `what`, and keeps only that time. */
  underLast(heading: string, what: RegExp, work: () => void): void {
    for (let done = false; !done; ) {
      const from = this.fileSystem.lines.length;
      work();
      const lines = this.fileSystem.lines.slice(from);
      done = lines.some((line) => what.test(line));
      if (done) this.text.push(`# ${heading}`, ...lines, '');
    }
  }

  open(): void {
    this.log = openLog({ ...portsOn(this.disk), fileSystem: this.fileSystem }, DIRECTORY, OPTIONS);
  }

  get store(): OpenedLog['store'] {
    return this.log!.store;
  }

  commit(stateBytes: number, ...streams: string[]): void {
    this.sequence += 1;
    const frames = streams.map((stream) => frameOf(stream, this.sequence, { stateBytes }));
    const frontiers = new Map([['s', BigInt(this.sequence)]]);
    this.store.commit({ frames, frontiers, generation: this.log!.generation });
  }

  async expectGolden(name: string): Promise<void> {
    await expect(`${this.text.join('\n')}`).toMatchFileSnapshot(`../golden/operations/${name}.txt`);
  }
}

/** Opened, with one commit, and nothing left to be done ahead. */
function begun(): Recording {
  const recording = new Recording();
  recording.open();
  recording.commit(100, 'a');
  while (recording.store.idleStep());
  return recording;
}

test('the first opening of a directory, and its first commit', async () => {
  const recording = new Recording();
  recording.under('the first opening', () => recording.open());
  recording.under('the first commit makes the first segment', () => recording.commit(100, 'a'));
  recording.under('the next commit', () => recording.commit(100, 'a', 'b'));
  recording.under('a commit of a large frame, which is not copied', () => recording.commit(30_000, 'c'));
  recording.under('a frontier alone', () => recording.commit(100));
  await recording.expectGolden('opening-and-commits');
});

test('a commit that needs another segment', async () => {
  const ahead = begun();
  ahead.commit(50_000, 'b');
  ahead.under('the next segment is at hand', () => ahead.commit(20_000, 'c'));
  await ahead.expectGolden('segment-made-ahead');
});

test('another segment made ahead', async () => {
  const ahead = new Recording();
  ahead.open();
  ahead.commit(100, 'a');
  for (let step = 1, more = true; more; step++) {
    ahead.under(`idle step ${step}`, () => {
      more = ahead.store.idleStep();
    });
  }
  await ahead.expectGolden('idle-steps');
});

test.each([
  ['segment-made-while-a-commit-waits', true],
  ['segment-filled-while-a-commit-waits', false],
])('%s', async (name, tellsFreeBytes) => {
  const waiting = new Recording();
  waiting.disk.tellsFreeBytes = tellsFreeBytes;
  waiting.open();
  waiting.commit(50_000, 'b');
  waiting.under('a commit that the head has no room for', () => waiting.commit(20_000, 'c'));
  await waiting.expectGolden(name);
});

test('a frame larger than a segment, and what is left of its file', async () => {
  const recording = begun();
  recording.under('a frame larger than a segment', () => recording.commit(100_000, 'large'));
  recording.commit(100, 'large');
  recording.commit(100, 'large');
  recording.underLast('the commit that removes its file', /^unlink/, () => recording.commit(20_000, 'b'));
  await recording.expectGolden('large-frame');
});

test('a compaction that frees a segment, which is used again', async () => {
  const recording = begun();
  recording.commit(3000, 'kept');
  // Alone in its size, so that it is seen in the commit that carries it.
  recording.underLast('compaction carries a checkpoint to the head', / 3584 at /, () =>
    recording.commit(30_000, 'a', 'b'),
  );
  recording.under('segments that are free are used again', () => recording.commit(30_000, 'a', 'b'));
  expect(newestOf(recording.log!).size).toBe(3);
  await recording.expectGolden('compaction');
});

test('removals', async () => {
  const recording = begun();
  recording.commit(100, 'a');
  recording.under('delete before', () => recording.store.deleteBefore('a', 2n));
  recording.under('forget', () => recording.store.forget('a'));
  recording.under('forget again', () => recording.store.forget('a'));
  await recording.expectGolden('removals');
});

test('a clean close, and the opening after it', async () => {
  const recording = begun();
  recording.under('close', () => recording.store.close());
  recording.under('open', () => recording.open());
  recording.under('commit, over the index', () => recording.commit(100, 'a'));
  recording.under('close', () => recording.store.close());
  await recording.expectGolden('close-and-open');
});

test('an opening after a crash', async () => {
  const before = begun();
  before.commit(50_000, 'b');
  // The power fails when a new head has the first copy of its header only, and a segment is half made.
  before.disk.before = (operation, path) => {
    if (operation === 'datasync' && path.endsWith('2.log')) throw new Error('the power failed');
  };
  expect(() => before.commit(20_000, 'c')).toThrow('the power failed');
  const disk = before.disk.crash(() => true);
  disk.replace(`${DIRECTORY}/segment-00000099.tmp`, new Uint8Array(4096));
  const recording = new Recording(disk);
  recording.under('the opening', () => recording.open());
  recording.under('the commit that was not acknowledged, again', () => recording.commit(20_000, 'c'));
  await recording.expectGolden('opening-after-crash');
});
