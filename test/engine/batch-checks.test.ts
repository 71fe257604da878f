/** What events must be in view of those before them, in the same array or in the life of the engine. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BatchLimits, checkBatch, checkSingle } from '../../src/engine/batch-checks.ts';
import type { Event } from '../../src/engine/event.ts';
import { Router } from '../../src/engine/router.ts';

const LIMITS: BatchLimits = { recordBytesMax: 2_048, maxStreams: 3, maxSources: 2 };

function event(stream: string, more: Partial<Event> = {}): Event {
  return { stream, payload: '', ...more };
}

/** What accepting an event leaves behind. */
function accept(router: Router, { stream, sequence, source, offset }: Event): void {
  (router.stream(stream) ?? router.addStream(stream)).bringsSequences = sequence !== undefined;
  if (source === undefined || offset === undefined) return;
  (router.source(source) ?? router.addSource(source)).lastOffset = offset;
}

function routerAfter(events: readonly Event[]): Router {
  const router = new Router(2);
  for (const each of events) accept(router, each);
  return router;
}

/** The message of the refusal, or undefined. Both ways of checking agree. */
function refusal(before: readonly Event[], then: Event): string | undefined {
  const messages = [
    messageOf(() => checkSingle(then, routerAfter(before), LIMITS)),
    messageOf(() => checkBatch([then], routerAfter(before), LIMITS)),
    messageOf(() => checkBatch([...before, then], new Router(2), LIMITS)),
  ];
  expect(new Set(messages).size).toBe(1);
  return messages[0];
}

function messageOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_TIDEMARK_INVALID_ARGUMENT' });
    return (error as Error).message;
  }
}

describe('offsets of a source', () => {
  const at = (offset: number | bigint, source = 'file'): Event => event('s', { source, offset });

  test('may repeat and rise, as numbers and bigints by turns', () => {
    expect(refusal([at(5)], at(5n))).toBeUndefined();
    expect(refusal([at(5n)], at(6))).toBeUndefined();
    expect(refusal([at(2n ** 60n)], at(2n ** 60n + 1n))).toBeUndefined();
  });

  test('never decrease, and the error names the source and both offsets', () => {
    expect(refusal([at(5)], at(4n))).toMatch(/source 'file' never decrease in push order, got 4 after 5/);
    expect(refusal([at(2n ** 60n)], at(1))).toMatch(/got 1 after 1152921504606846976/);
  });

  test('are those of that source alone, whatever the stream', () => {
    expect(refusal([at(5)], at(4, 'other'))).toBeUndefined();
    expect(refusal([at(5)], event('t', { source: 'file', offset: 4 }))).toMatch(/never decrease/);
  });

  test('may begin anywhere after a restore', () => {
    const router = new Router(1);
    router.addSource('file', 100n);
    expect(() => checkSingle(at(5), router, LIMITS)).not.toThrow();
    expect(() => checkBatch([at(5), at(6)], router, LIMITS)).not.toThrow();
  });
});

describe('the events of a stream', () => {
  test('all bring their sequence or all do not', () => {
    expect(refusal([event('s', { sequence: 1 })], event('s'))).toMatch(
      /'s' has no sequence, the ones before had one/,
    );
    expect(refusal([event('s')], event('s', { sequence: 1 }))).toMatch(
      /'s' has sequence, the ones before had none/,
    );
    expect(refusal([event('s', { sequence: 1 })], event('s', { sequence: 0n }))).toBeUndefined();
  });

  test('are asked for by stream', () => {
    expect(refusal([event('s', { sequence: 1 })], event('t'))).toBeUndefined();
  });

  test('may do either first after a restore', () => {
    const router = new Router(1);
    router.addStream('s');
    for (const sequence of [1, undefined]) {
      expect(() => checkSingle(event('s', { sequence }), router, LIMITS)).not.toThrow();
      expect(() => checkBatch([event('s', { sequence })], router, LIMITS)).not.toThrow();
    }
  });
});

describe('streams and sources', () => {
  const streams = ['a', 'b', 'c'].map((name) => event(name));
  const sources = ['x', 'y'].map((source) => event('a', { source, offset: 1 }));

  test('may be as many as there may be, and those may go on', () => {
    expect(refusal(streams.slice(0, 2), event('c'))).toBeUndefined();
    expect(refusal(streams, event('a'))).toBeUndefined();
    expect(refusal(sources, event('b', { source: 'x', offset: 1 }))).toBeUndefined();
  });

  test('may not be more, and the error names the option', () => {
    expect(refusal(streams, event('d'))).toMatch(/more than 3 streams; raise maxStreams/);
    expect(refusal(sources, event('a', { source: 'z', offset: 1 }))).toMatch(
      /more than 2 sources; raise maxSources/,
    );
  });

  test('of an array are counted once each', () => {
    const events = [...streams, ...streams, ...sources, ...sources];
    expect(() => checkBatch(events, new Router(2), LIMITS)).not.toThrow();
  });
});

test('an array with one wrong event leaves nothing behind, wherever that event is', () => {
  const good = Array.from({ length: 5 }, (_, i) => event('s', { source: 'file', offset: i }));
  for (const [at] of good.entries()) {
    const router = new Router(2);
    const events = good.with(at, event('s', { source: 'file', offset: -1 }));
    expect(messageOf(() => checkBatch(events, router, LIMITS))).toMatch(/event\.offset/);
    expect([router.streamCount, router.sourceCount]).toEqual([0, 0]);
  }
});

test('a payload that is too large is refused among others', () => {
  const events = [event('s'), event('s', { payload: 'x'.repeat(3_000) })];
  expect(() => checkBatch(events, new Router(1), LIMITS)).toThrow(
    expect.objectContaining({ code: 'ERR_TIDEMARK_PAYLOAD_TOO_LARGE' }),
  );
});

test('an array is accepted exactly when its events would be, one after the other', () => {
  const events = fc.array(
    fc.record({
      stream: fc.constantFrom('a', 'b', 'c', 'd'),
      sequence: fc.constantFrom(undefined, undefined, 1),
      source: fc.constantFrom(undefined, 'x', 'y', 'z'),
      offset: fc.nat(3),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(events, events, (before, batch) => {
      const made = [before, batch].map((drawn) =>
        drawn.map(({ stream, sequence, source, offset }) =>
          event(stream, { sequence, ...(source === undefined ? {} : { source, offset }) }),
        ),
      ) as [Event[], Event[]];
      const single = routerAfter(made[0]);
      let isAccepted = true;
      for (const each of made[1]) {
        isAccepted &&= messageOf(() => checkSingle(each, single, LIMITS)) === undefined;
        if (isAccepted) accept(single, each);
      }
      const asBatch = messageOf(() => checkBatch(made[1], routerAfter(made[0]), LIMITS));
      // A router that holds too many already cannot come to be.
      fc.pre(routerAfter(made[0]).streamCount <= 3 && routerAfter(made[0]).sourceCount <= 2);
      expect(asBatch === undefined).toBe(isAccepted);
    }),
  );
});
