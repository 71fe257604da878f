/** One directory, one life after the other: what a later engine finds. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CheckpointEngine, Event } from '../../src/index.ts';
import { expectStates, newDirectory, OPERATORS, openEngine, openFailure } from './support/engine.ts';
import { Model } from './support/model.ts';

const STREAMS = ['a', 'b', 'bag', 'ü—🌊', ''];

/** Record `offset` of the source goes to two streams. */
function record(offset: number): Event[] {
  return [0, 1].map((n) => ({
    stream: STREAMS[(offset + n * 2) % STREAMS.length]!,
    payload: `${(offset * 7) % 23}`,
    source: 'src',
    offset: offset * 10,
    nextOffset: offset * 10 + 10,
    watermarkNs: 1_700_000_000_000_000_000n + BigInt(offset),
  }));
}

const EVENTS: Event[] = Array.from({ length: 100 }, (_, offset) => record(offset)).flat();

function modelOf(events: readonly Event[]): Model {
  const model = new Model();
  for (const event of events) model.apply(event);
  return model;
}

/** A directory that a closed engine has left, with these events in it. */
async function directoryWith(events: readonly Event[]): Promise<string> {
  const directory = await newDirectory();
  const engine = await openEngine({ directory });
  await engine.push(events);
  await engine.close();
  return directory;
}

describe('a reopened directory', () => {
  test('restores slots, heap, sequence, watermark, counts and offsets exactly', async () => {
    const directory = await directoryWith(EVENTS);
    const engine = await openEngine({ directory });
    await expectStates(engine, modelOf(EVENTS));
    expect(engine.position('src')).toBe(1_000n);
    expect(engine.receipt).toMatchObject({ generation: 2n, lost: [], positions: new Map([['src', 1_000n]]) });
    expect([...engine.receipt.streams].sort((x, y) => (x.stream < y.stream ? -1 : 1))).toEqual(
      STREAMS.toSorted().map((stream) => ({ stream, sequence: 40n, generation: 1n, fellBack: 0 })),
    );
  });

  test('goes on from what it restored, and drops what a replay from the start brings again', async () => {
    const directory = await directoryWith(EVENTS.slice(0, 120));
    const engine = await openEngine({ directory });
    await engine.push(EVENTS);
    await engine.checkpoint();
    await expectStates(engine, modelOf(EVENTS));
    expect(engine.metrics().events).toEqual({ accepted: 200, applied: 80, dropped: 120, skipped: 0 });
  });

  test('has a greater generation each time, also for nothing', async () => {
    const directory = await newDirectory();
    const generations: bigint[] = [];
    for (let life = 0; life < 4; life++) {
      const engine = await openEngine({ directory });
      generations.push(engine.generation);
      expect(engine.metrics().generation).toBe(Number(engine.generation));
      expect(engine.receipt.generation).toBe(engine.generation);
      await engine.close();
    }
    expect(generations).toEqual([1n, 2n, 3n, 4n]);
  });

  test('says which generation took each checkpoint', async () => {
    const directory = await directoryWith([{ stream: 'a', payload: 'x' }]);
    const second = await openEngine({ directory });
    await second.push({ stream: 'b', payload: 'x' });
    await second.close();
    const { receipt } = await openEngine({ directory });
    expect(new Map(receipt.streams.map(({ stream, generation }) => [stream, generation]))).toEqual(
      new Map([
        ['a', 1n],
        ['b', 2n],
      ]),
    );
  });

  test.each([1, 3, 4])('takes %i shards where it had two', async (shards) => {
    const directory = await directoryWith(EVENTS.slice(0, 120));
    const engine = await openEngine({ directory, shards });
    await expectStates(engine, modelOf(EVENTS.slice(0, 120)));
    await engine.push(EVENTS.filter((event) => BigInt(event.offset ?? 0) >= (engine.position('src') ?? 0n)));
    await engine.close();
    await expectStates(await openEngine({ directory }), modelOf(EVENTS));
  });

  test('begins with an existing empty directory too', async () => {
    const directory = await newDirectory();
    mkdirSync(directory);
    const engine = await openEngine({ directory });
    expect(engine.receipt).toEqual({ generation: 1n, streams: [], lost: [], positions: new Map() });
  });
});

describe('operators that have changed', () => {
  test('migrate the states of other versions and sizes', async () => {
    const directory = await directoryWith([
      { stream: 'bag', payload: 'a' },
      { stream: 'bag', payload: 'b' },
    ]);
    const engine = await openEngine({ directory, operators: OPERATORS.tallyNext });
    await engine.push({ stream: 'bag', payload: 'b' });
    await engine.close();
    const again = await openEngine({ directory, operators: OPERATORS.tallyNext });
    const states = (await again.latest('bag'))?.operatorStates;
    const tally = Buffer.from(states?.get('tally') ?? []);
    // Migrated once from version 1: a state of the present version is taken as it is.
    expect([0, 8, 16].map((position) => tally.readBigUInt64LE(position))).toEqual([1n, 3n, 97n + 98n + 98n]);
    expect(Buffer.from(states?.get('words') ?? []).toString()).toBe('v7:[["a",1],["b",2]]');
  });

  test('without a migrate are refused at open, and nothing is lost', async () => {
    const directory = await directoryWith(EVENTS);
    const error = await openFailure({ directory, operators: OPERATORS.tallyNextWithoutMigrate });
    expect(error.code).toBe('ERR_TIDEMARK_STATE_VERSION');
    expect(error.message).toMatch(/'tally'.*version 1.*version 2.*migrate/);
    await expectStates(await openEngine({ directory }), modelOf(EVENTS));
  });

  test('that leave a state to nobody are refused at open, unless that is allowed', async () => {
    const directory = await directoryWith([{ stream: 'bag', payload: 'a' }]);
    const error = await openFailure({ directory, operators: OPERATORS.tallyAlone });
    expect(error.code).toBe('ERR_TIDEMARK_UNCLAIMED_STATE');
    expect(error.message).toContain("'words'");
    const engine = await openEngine({
      directory,
      operators: OPERATORS.tallyAlone,
      allowUnclaimedState: true,
    });
    await engine.push({ stream: 'bag', payload: 'b' });
    await engine.checkpoint();
    expect([...((await engine.latest('bag'))?.operatorStates.keys() ?? [])]).toEqual(['tally']);
  });

  test('and are new begin with nothing beside restored ones', async () => {
    const directory = await newDirectory();
    const first = await openEngine({ directory, operators: OPERATORS.tallyAlone });
    await first.push({ stream: 'bag', payload: 'a' });
    await first.close();
    const engine = await openEngine({ directory });
    await engine.push({ stream: 'bag', payload: 'b' });
    await engine.checkpoint();
    const states = (await engine.latest('bag'))?.operatorStates;
    expect(Buffer.from(states?.get('tally') ?? []).readBigUInt64LE(0)).toBe(2n);
    expect(Buffer.from(states?.get('words') ?? []).toString()).toBe('[["b",1]]');
  });
});

describe('a directory that cannot be had', () => {
  test('because another engine has it is refused, and free when that one has closed', async () => {
    const directory = await newDirectory();
    const first = await openEngine({ directory });
    await first.push(EVENTS);
    const error = await openFailure({ directory });
    expect(error).toMatchObject({ code: 'ERR_TIDEMARK_DIRECTORY_LOCKED', retryable: true });
    await first.push({ stream: 'a', payload: 'x', source: 'src', offset: 1_000 }, { until: 'durable' });
    await first.close();
    const second = await openEngine({ directory });
    expect(second.position('src')).toBe(1_001n);
  });

  test('because it is not ours is refused and left untouched', async () => {
    const directory = await newDirectory();
    mkdirSync(directory);
    writeFileSync(join(directory, 'thesis.txt'), 'the only copy');
    const before = statSync(directory).mtimeMs;
    const error = await openFailure({ directory });
    expect(error.code).toBe('ERR_TIDEMARK_NOT_A_STORE');
    expect(readdirSync(directory)).toEqual(['thesis.txt']);
    expect(statSync(directory).mtimeMs).toBe(before);
  });

  test('because it is a file is refused', async () => {
    const directory = await newDirectory();
    writeFileSync(directory, 'a file');
    const error = await openFailure({ directory });
    expect(['ERR_TIDEMARK_NOT_A_STORE', 'ERR_TIDEMARK_STORE_FAILED']).toContain(error.code);
    expect(readFileSync(directory, 'utf8')).toBe('a file');
  });
});

describe('damage on the disk', () => {
  /** Flips a bit wherever `text` stands in the segments; returns in how many places that is. */
  function damage(directory: string, text: string): number {
    let places = 0;
    for (const name of readdirSync(directory).filter((file) => file.endsWith('.log'))) {
      const path = join(directory, name);
      const bytes = readFileSync(path);
      for (let place = bytes.indexOf(text); place !== -1; place = bytes.indexOf(text)) {
        bytes[place]! ^= 1;
        places++;
      }
      writeFileSync(path, bytes);
    }
    return places;
  }

  /** Three checkpoints of 'a' and of 'b'; each holds its own marker and, in its words, those before it. */
  async function threeCheckpoints(): Promise<{ directory: string; events: Event[] }> {
    const directory = await newDirectory();
    // On one shard both streams of a round are in one commit, whose frontier is then behind the round.
    const engine = await openEngine({ directory, shards: 1 });
    const events: Event[] = [];
    for (const [n, marker] of ['first marker', 'second marker', 'third marker'].entries()) {
      const batch = ['a', 'b'].map((stream) => ({
        stream,
        payload: `${marker} ${stream}`,
        source: 'src',
        offset: n,
      }));
      events.push(...batch);
      await engine.push(batch);
      await engine.checkpoint();
    }
    await engine.close();
    return { directory, events };
  }

  async function replay(engine: CheckpointEngine, events: readonly Event[]): Promise<number> {
    const from = engine.position('src') ?? 0n;
    const left = events.filter((event) => BigInt(event.offset ?? 0) >= from);
    await engine.push(left);
    await engine.checkpoint();
    return left.length;
  }

  test('of the newest checkpoint makes the engine fall back, say so, and replay to the exact state', async () => {
    const { directory, events } = await threeCheckpoints();
    expect(damage(directory, 'third marker a')).toBe(1);
    const engine = await openEngine({ directory });
    const fallen = engine.receipt.streams.find(({ stream }) => stream === 'a');
    expect(fallen).toMatchObject({ sequence: 2n, fellBack: 1, reason: expect.any(String) });
    expect(engine.receipt.streams.find(({ stream }) => stream === 'b')).toMatchObject({
      sequence: 3n,
      fellBack: 0,
    });
    expect(engine.position('src')).toBe(2n);
    expect(await replay(engine, events)).toBe(2);
    await expectStates(engine, modelOf(events));
    expect(engine.metrics().events).toMatchObject({ applied: 1, dropped: 1 });
  });

  test('of all checkpoints of a stream loses that stream only, and replays it from its beginning', async () => {
    const { directory, events } = await threeCheckpoints();
    expect(damage(directory, 'first marker a')).toBe(3);
    const engine = await openEngine({ directory });
    expect(engine.receipt.lost).toEqual([{ stream: 'a', reason: expect.any(String) }]);
    expect(engine.receipt.streams.map(({ stream }) => stream)).toEqual(['b']);
    expect(await replay(engine, events)).toBe(6);
    await expectStates(engine, modelOf(events));
  });

  test('is made good by the next checkpoint', async () => {
    const { directory, events } = await threeCheckpoints();
    expect(damage(directory, 'third marker a')).toBe(1);
    const engine = await openEngine({ directory });
    await replay(engine, events);
    await engine.close();
    const again = await openEngine({ directory });
    expect(again.receipt.streams.map(({ fellBack }) => fellBack)).toEqual([0, 0]);
    expect(again.position('src')).toBe(3n);
    await expectStates(again, modelOf(events));
  });
});

test('states that do not fit into less memory are refused at open, and the directory is free afterwards', async () => {
  const directory = await newDirectory();
  const enough = { directory, operators: OPERATORS.sized, shards: 1 };
  const first = await openEngine(enough);
  for (let n = 0; n < 20; n++) await first.push({ stream: `8192-${n}`, payload: 'x' });
  await first.close();
  const error = await openFailure({ ...enough, memory: { bytes: 2 ** 18, ringBytes: 2 ** 12 } });
  expect(error.code).toBe('ERR_TIDEMARK_MEMORY_FULL');
  expect(error.message).toContain('raise memory.bytes');
  const again = await openEngine(enough);
  expect(again.receipt.streams.length).toBe(20);
});
