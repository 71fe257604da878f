import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CheckpointId } from '../../src/checkpoint/id.ts';
import { CheckpointState } from '../../src/checkpoint/state.ts';
import { finalStates, StateDigest } from '../../src/cli/state-digest.ts';

function stateOf(stream: string, sequence: number): CheckpointState {
  const state = new CheckpointState(new CheckpointId(stream, sequence));
  state.setOperatorState('count', new Uint8Array([sequence & 0xff]));
  return state;
}

function readerOf(streams: readonly string[]) {
  const reading = { now: 0, most: 0 };
  return {
    reading,
    streams: () => streams,
    async latest(stream: string) {
      reading.now += 1;
      reading.most = Math.max(reading.most, reading.now);
      await new Promise((resolve) => setImmediate(resolve));
      reading.now -= 1;
      return stream === 'empty' ? undefined : stateOf(stream, stream.length);
    },
  };
}

async function digestOf(streams: readonly string[]): Promise<string> {
  const digest = new StateDigest();
  for await (const final of finalStates(readerOf(streams))) digest.add(final);
  return digest.hex();
}

describe('final states', () => {
  test('ascend by the UTF-8 bytes of the ids, not by UTF-16', async () => {
    const found: string[] = [];
    for await (const { stream } of finalStates(readerOf(['b', '\u{1F600}', '\uFFFD', 'empty', 'a'])))
      found.push(stream);
    expect(found).toEqual(['a', 'b', '\uFFFD', '\u{1F600}']);
  });

  test('are read ahead, but not all at once', async () => {
    const reader = readerOf(Array.from({ length: 500 }, (_, index) => `s${index}`));
    let count = 0;
    for await (const _final of finalStates(reader)) count += 1;
    expect(count).toBe(500);
    expect(reader.reading.most).toBe(64);
  });

  test('a failed read ends the walk with its error', async () => {
    const reader = { streams: () => ['a', 'b'], latest: () => Promise.reject(new Error('damaged')) };
    await expect(finalStates(reader).next()).rejects.toThrow('damaged');
  });
});

describe('the digest', () => {
  test('is SHA-256 over length, id and body of each stream', async () => {
    const hash = createHash('sha256');
    for (const stream of ['a', '\u00E9t\u00E9']) {
      const id = Buffer.from(stream, 'utf8');
      hash
        .update(new Uint8Array([id.length, 0, 0, 0]))
        .update(id)
        .update(stateOf(stream, stream.length).serialize());
    }
    expect(await digestOf(['\u00E9t\u00E9', 'a'])).toBe(hash.digest('hex'));
  });

  test('does not depend on the order in which streams are listed', async () => {
    expect(await digestOf(['x', 'y', 'zz'])).toBe(await digestOf(['zz', 'x', 'y']));
    expect(await digestOf(['x', 'y'])).not.toBe(await digestOf(['x', 'z']));
  });

  test('of nothing is the digest of no bytes', async () => {
    expect(await digestOf([])).toBe(createHash('sha256').digest('hex'));
  });
});
