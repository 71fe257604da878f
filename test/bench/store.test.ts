import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { casesOf } from '../../bench/store/cases.ts';
import { allocatedBytes } from '../../bench/store/disk.ts';
import { FrameSource, streamName } from '../../bench/store/frame-source.ts';
import { keyOf, keyRange, newestKeys, sequenceOf, streamOf } from '../../bench/store/keys.ts';
import { measureRecovery } from '../../bench/store/recovery.ts';
import { RecoveryTarget } from '../../bench/store/recovery-target.ts';
import { SaveRun } from '../../bench/store/save-run.ts';
import type { SavedFrame, StoreSubject } from '../../bench/store/subject.ts';
import { viewFrame } from '../../src/codec/view.ts';

const PLAN = {
  name: 'save/test',
  kind: 'save',
  streams: 10,
  frameBytes: 512,
  perStream: 3,
  framesPerCommit: 4,
  passes: 4,
  commits: 5,
  rounds: 1,
  untilMs: 0,
} as const;

/** A store in memory that keeps `perStream` checkpoints, and does `mishap` to every commit. */
function makeStore(mishap: (frames: SavedFrame[]) => SavedFrame[], perStream = 3): StoreSubject {
  const streams = new Map<string, SavedFrame[]>();
  const of = (stream: string): SavedFrame[] => streams.get(stream) ?? [];
  return {
    commit(frames) {
      // The bytes are the bench's, which writes the next frames there.
      const copies = frames.map((frame) => ({ ...frame, bytes: new Uint8Array(frame.bytes) }));
      for (const frame of mishap(copies))
        streams.set(frame.stream, [...of(frame.stream), frame].slice(-perStream));
    },
    kept: {
      sequences: (stream) => Promise.resolve(of(stream).map(({ sequence }) => sequence)),
      newest: (stream) => Promise.resolve(of(stream).at(-1)?.bytes),
    },
    close: () => Promise.resolve(),
  };
}

async function runOn(store: StoreSubject, isShared = true): Promise<void> {
  const run = await SaveRun.begin({ open: () => Promise.resolve(store), isShared }, PLAN, tmpdir());
  const { ns } = await run.sample();
  expect(ns).toBeGreaterThan(0);
  await run.finish();
}

describe('what is saved', () => {
  test('is found where it was saved, whether frames lie in shared memory or in buffers', async () => {
    for (const isShared of [true, false]) {
      let places: boolean[] = [];
      const store = makeStore((frames) => {
        places = frames.map(({ bytes }) => bytes.length === PLAN.frameBytes);
        return frames;
      });
      await runOn(store, isShared);
      expect(places).toEqual(new Array(PLAN.framesPerCommit).fill(true));
    }
  });

  test.each([
    ['that loses a checkpoint', makeStore((frames) => frames.slice(1)), /are kept, not/],
    ['that keeps more', makeStore((frames) => frames, 4), /are kept, not/],
    [
      'that takes one stream for another',
      makeStore(([first, ...rest]) => [first!, ...rest.map((frame) => ({ ...frame, bytes: first!.bytes }))]),
      /is not the one that was saved/,
    ],
    [
      'that changes a byte',
      makeStore((frames) => {
        for (const { bytes } of frames) bytes[100]! ^= 1;
        return frames;
      }),
      /is not the one that was saved/,
    ],
  ])('is missed in a store %s', async (_, store, message) => {
    await expect(runOn(store)).rejects.toThrow(message);
  });

  test('goes to different streams in one commit', async () => {
    const batches: string[][] = [];
    const store = makeStore((frames) => {
      batches.push(frames.map(({ stream }) => stream));
      return frames;
    });
    await runOn(store);
    for (const batch of batches) expect(new Set(batch).size).toBe(batch.length);
    expect(batches.at(-1)).toHaveLength(PLAN.framesPerCommit);
  });
});

describe('what is recovered', () => {
  const recoverAs = (change: (frames: [stream: string, bytes: Uint8Array][]) => unknown) =>
    measureRecovery(
      {
        recover({ plan, target }) {
          const source = new FrameSource(plan.frameBytes, plan.streams);
          const frames = Array.from({ length: plan.streams }, (_, i): [string, Uint8Array] => [
            streamName(i),
            source.write(i, i, plan.passes).slice(),
          ]);
          change(frames);
          for (const [stream, bytes] of frames) target.take(stream, bytes);
          return Promise.resolve();
        },
      },
      PLAN,
      tmpdir(),
    );
  const source = new FrameSource(PLAN.frameBytes, 1);

  test('is every stream at its newest sequence, in any order', async () => {
    expect(await recoverAs((frames) => frames.reverse())).toBeGreaterThan(0);
  });

  test.each([
    ['a stream is not there', (frames: unknown[]) => frames.pop(), /9 checkpoints were recovered/],
    ['a stream comes twice', (frames: unknown[]) => (frames[1] = frames[0]), /stream-0000001 was not/],
    [
      'a checkpoint is not the newest',
      (frames: [string, Uint8Array][]) => (frames[4]![1] = source.write(0, 4, PLAN.passes - 1)),
      /of stream-0000004 is not its newest checkpoint/,
    ],
    [
      'it is the checkpoint of another stream',
      (frames: [string, Uint8Array][]) => (frames[4]![1] = source.write(0, 5, PLAN.passes)),
      /the recovered bytes of stream-0000004 differ/,
    ],
  ])('is found wrong when %s', async (_, change, message) => {
    await expect(recoverAs(change)).rejects.toThrow(message);
  });
});

describe('the frames', () => {
  test.each([512, 1_024, 262_144])('of %i bytes are whole and name their stream and sequence', (bytes) => {
    const source = new FrameSource(bytes, 2);
    const first = source.write(0, 7, 1);
    const second = source.write(1, 8, 2);
    expect([first.length, second.length]).toEqual([bytes, bytes]);
    const view = viewFrame(second.slice());
    expect([view.streamId, view.sequence]).toEqual([streamName(8), 2n]);
    expect(viewFrame(first.slice()).streamId).toBe(streamName(7));
    expect(Buffer.compare(source.expected(7, 1), first)).toBe(0);
    const state = (frame: Uint8Array) => Buffer.from(viewFrame(frame.slice()).operator('operator')!);
    expect(state(first).equals(state(second))).toBe(false);
  });

  test('are refused by the recovery target when a byte is wrong', () => {
    const [plan] = casesOf(true);
    const target = new RecoveryTarget(plan!);
    const frame = new FrameSource(plan!.frameBytes, 1).write(0, 3, 1).slice();
    target.take(streamName(3), frame);
    expect(target.frames.map(({ stream }) => stream)).toEqual([streamName(3)]);
    frame[50]! ^= 1;
    expect(() => target.take(streamName(3), frame)).toThrow('does not verify');
  });
});

test('the keys of a stream follow each other by sequence, and the last of each stream is its newest', () => {
  const keys = ['a', 'b'].flatMap((stream) => [9n, 10n, 100n].map((sequence) => keyOf(stream, sequence)));
  expect(keys.toSorted()).toEqual(keys);
  expect(newestKeys(keys)).toEqual([keyOf('a', 100n), keyOf('b', 100n)]);
  expect(newestKeys([])).toEqual([]);
  const { start, end } = keyRange('a');
  expect(keys.filter((key) => key >= start && key < end).map(sequenceOf)).toEqual([9n, 10n, 100n]);
  expect(streamOf(keyOf('a', 1n))).toBe('a');
});

test('blocks of all files in a directory and those below are counted', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-disk-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  expect(allocatedBytes(directory)).toBe(0);
  await writeFile(join(directory, 'file'), Buffer.alloc(10_000, 1), { flush: true });
  expect(allocatedBytes(directory)).toBeGreaterThanOrEqual(10_000);
});
