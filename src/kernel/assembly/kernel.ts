// The kernel: what touches the bytes of states, compiled to WebAssembly and run by every thread on the
// engine's memory. No data segments, no heap, no mutable globals: instances of several threads share the
// memory and nothing else. No value crosses the boundary as a bigint, which would cost more than the call.
// Callers pass ranges that lie in their own part of the memory; a range outside of the memory traps.

import {
  FOOTER_CHECKSUM,
  FOOTER_MAGIC,
  FOOTER_VERSION,
  MAGIC,
  VERSION_AND_FLAGS,
} from './footer';
import { isFrame } from './index-frame';
import { copyAndXxh64, xxh64 } from './xxh64';

export { findOffset, findState } from './find';
export { index, isFrame, verify } from './index-frame';
export { goodFrames, isRecord, sealHeaders } from './log-records';

/** A time of creation is whole milliseconds, stored as nanoseconds. */
const NS_PER_MS: u64 = 1_000_000;

export function copy(to: usize, from: usize, length: usize): void {
  memory.copy(to, from, length);
}

/**
 * Keeps `bytes` bytes at `image`, 16-byte aligned, behind the 32 bytes at `undo` that say what they are: image, bytes,
 * stream, position. As many bytes again as fill up 16 are read and written.
 */
export function keep(undo: usize, image: usize, bytes: u32, stream: u32, position: f64): void {
  const end = image + bytes;
  let to = undo + 32;
  for (let from = image; from < end; from += 16) {
    v128.store(to, v128.load(from));
    to += 16;
  }
  store<u32>(undo, <u32>image);
  store<u32>(undo, bytes, 4);
  store<u32>(undo, stream, 8);
  store<f64>(undo, position, 16);
}

/** Stores the XXH64 of `length` bytes at `start` as a u64 at `out`. */
export function checksum(out: usize, start: usize, length: usize): void {
  store<u64>(out, xxh64(start, length));
}

/** Writes the footer behind the body and the extension that begin at `frame`. */
export function seal(frame: usize, bodyBytes: u32, extensionBytes: u32): void {
  writeLengths(frame, bodyBytes, extensionBytes);
  const footer = frame + bodyBytes + extensionBytes;
  writeChecksum(footer, xxh64(frame, footer - frame + FOOTER_CHECKSUM));
}

/**
 * Makes a frame of an image (body with the extension behind it, in which the time of creation is set): one copy that
 * is summed as it is made, and the footer.
 */
export function encode(
  frame: usize,
  image: usize,
  bodyBytes: u32,
  extensionBytes: u32,
  createdAtMs: f64,
): void {
  const length: usize = bodyBytes + extensionBytes;
  store<u64>(image + bodyBytes, <u64>createdAtMs * NS_PER_MS);
  writeLengths(frame, bodyBytes, extensionBytes);
  writeChecksum(frame + length, copyAndXxh64(frame, image, length, length + FOOTER_CHECKSUM));
}

// @ts-expect-error: decorator
@inline
function writeLengths(frame: usize, bodyBytes: u32, extensionBytes: u32): void {
  const footer = frame + bodyBytes + extensionBytes;
  store<u32>(footer, bodyBytes);
  store<u32>(footer, extensionBytes, 4);
  store<u64>(footer, VERSION_AND_FLAGS, FOOTER_VERSION);
}

// @ts-expect-error: decorator
@inline
function writeChecksum(footer: usize, checksum: u64): void {
  store<u64>(footer, checksum, FOOTER_CHECKSUM);
  store<u64>(footer, MAGIC, FOOTER_MAGIC);
}
