/** Which shard owns a stream, and the numbers that both threads use. */
import { describe, expect, test } from 'vitest';
import { Router, shardOf } from '../../src/engine/router.ts';

describe('the shard of a stream', () => {
  test('follows from the XXH64 of its name in UTF-8', () => {
    // Published: XXH64 of nothing ends in 99, that of 'a' in 5b.
    const names = ['', 'a', 'flights', '\ufeffbom', '\u{1f600}', 'x'.repeat(1_000)];
    expect(names.map((name) => shardOf(name, 256))).toEqual([0x99, 0x5b, 207, 19, 128, 225]);
  });

  test('is the only one if there is but one', () => {
    expect(shardOf('anything', 1)).toBe(0);
  });

  test.each([2, 3, 4, 7, 16])('spreads names evenly over %d shards', (shards) => {
    const counts = new Array<number>(shards).fill(0);
    const names = 20_000;
    for (let i = 0; i < names; i++) (counts[shardOf(`stream-${i}`, shards)] as number)++;
    for (const count of counts) expect(Math.abs(count - names / shards)).toBeLessThan(0.1 * (names / shards));
  });
});

describe('a router', () => {
  test('numbers streams by shard in the order in which they come, and finds them by name and by number', () => {
    const router = new Router(3);
    const counts = [0, 0, 0];
    for (let i = 0; i < 50; i++) {
      const stream = router.addStream(`s${i}`);
      expect(stream.shard).toBe(shardOf(`s${i}`, 3));
      expect(stream.index).toBe(counts[stream.shard]);
      (counts[stream.shard] as number)++;
      expect(router.streamAt(stream.shard, stream.index)).toBe(stream);
      expect(router.stream(`s${i}`)).toBe(stream);
    }
    expect(router.streamCount).toBe(50);
    expect([...router.streams()].map(({ name }) => name)).toEqual(
      Array.from({ length: 50 }, (_, i) => `s${i}`),
    );
    expect(router.stream('s50')).toBeUndefined();
  });

  test('gives a name away at once, and its number once the shard is through with it', () => {
    const router = new Router(1);
    const [a, b] = [router.addStream('a'), router.addStream('b')];
    router.detach(a);
    expect([router.stream('a'), router.streamCount]).toEqual([undefined, 1]);
    expect(router.streamAt(0, 0)).toBe(a);
    const next = router.addStream('a');
    expect(next.index).toBe(2);
    expect(router.streamAt(0, 0)).toBe(a);
    router.release(a);
    expect(router.stream('a')).toBe(next);
    const c = router.addStream('c');
    expect([c.index, router.streamAt(0, 0)]).toEqual([0, c]);
    expect([...router.streams()]).toEqual([b, next, c]);
  });

  test('needs no more numbers than there are streams at a time', () => {
    const router = new Router(2);
    for (let n = 0; n < 1_000; n++) {
      const stream = router.addStream(`s${n}`);
      expect(stream.index).toBe(0);
      router.detach(stream);
      router.release(stream);
    }
    expect(router.streamCount).toBe(0);
  });

  test('finds a stream that had events, and no other', () => {
    const router = new Router(1);
    const stream = router.addStream('a');
    for (const name of ['a', 'b'])
      expect(() => router.requireStream(name)).toThrow(/no stream '[ab]' is known/);
    stream.noteEvent(false);
    expect(router.requireStream('a')).toBe(stream);
  });

  test('numbers sources over all shards, and keeps where they were restored', () => {
    const router = new Router(3);
    const sources = ['x', '', 'y'].map((name, at) => router.addSource(name, at === 0 ? 7n : undefined));
    expect(sources.map(({ index, name, restored }) => [index, name, restored])).toEqual([
      [0, 'x', 7n],
      [1, '', undefined],
      [2, 'y', undefined],
    ]);
    expect(router.source('')).toBe(sources[1]);
    expect(router.sourceAt(2)).toBe(sources[2]);
    expect([...router.sources()]).toEqual(sources);
    expect(router.sourceCount).toBe(3);
    expect(router.source('z')).toBeUndefined();
  });
});
