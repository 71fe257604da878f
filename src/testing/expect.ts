/** What several clauses say about a store, in the words of `node:assert`. */
import assert from 'node:assert/strict';
import { type ErrorCode, TidemarkError } from '../error.ts';
import type { FrameRef } from '../store/contract.ts';
import type { Opened } from './trial.ts';

/** A store that is far away takes a while for each read, and may refuse too many at once. */
const READS_MAX = 50;

/** Every one of `frames` is there, byte for byte. */
export async function expectKept(opened: Opened, frames: readonly FrameRef[]): Promise<void> {
  for (let at = 0; at < frames.length; at += READS_MAX) {
    const reads = frames.slice(at, at + READS_MAX).map(async (frame) => {
      expectBytes(await opened.bytes(frame.stream, frame.sequence), frame);
    });
    await Promise.all(reads);
  }
}

/** `bytes` are those of `frame`, which is named if they are not. */
export function expectBytes(bytes: Uint8Array | undefined, frame: FrameRef): void {
  const what = `the checkpoint of ${JSON.stringify(frame.stream)} at ${frame.sequence}`;
  assert.ok(bytes !== undefined, `${what} is missing`);
  assert.ok(Buffer.compare(bytes, frame.bytes) === 0, `${what} has other bytes than were committed`);
}

/** The sequences of the checkpoints of `stream`; their order is for one clause to judge. */
export async function sequencesOf({ store }: Opened, stream: string): Promise<bigint[]> {
  const sequences = (await store.list(stream)).map(({ sequence }) => sequence);
  return sequences.sort((a, b) => (a < b ? -1 : 1));
}

/** `call` throws or rejects with a `TidemarkError`, of `code` if one is given. */
export async function expectRefused(
  what: string,
  call: () => Promise<unknown>,
  code?: ErrorCode,
): Promise<TidemarkError> {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof TidemarkError, `${what} must be refused with a TidemarkError, got ${error}`);
    if (code !== undefined) assert.equal(error.code, code, `${what} must be refused with ${code}`);
    return error;
  }
  assert.fail(`${what} must be refused`);
}
