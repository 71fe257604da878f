// Finds the parts of a frame: the same checks as the TypeScript codec makes, which is the specification. No
// length that is read from the bytes is used before it is held against the bytes that are left. What is
// found is stored at `out` as u32 positions, relative to the frame; see FRAME_PARTS in kernel.ts.

import {
  FOOTER_BYTES,
  FOOTER_CHECKSUM,
  FOOTER_MAGIC,
  FOOTER_VERSION,
  MAGIC,
  VERSION_AND_FLAGS,
} from './footer';
import { xxh64 } from './xxh64';

const OUT_OPERATOR_COUNT: usize = 0;
const OUT_SOURCE_COUNT: usize = 4;
const OUT_SOURCES_AT: usize = 8;
const OUT_BODY_END: usize = 12;
const OUT_STREAM_ID_START: usize = 16;
const OUT_STREAM_ID_END: usize = 20;
const OUT_VERSIONS_AT: usize = 24;
const OUT_METADATA_COUNT: usize = 28;
const OUT_METADATA_AT: usize = 32;
const OUT_EXTENSION_END: usize = 36;

const HEADER_BYTES: usize = 24;
const EXTENSION_HEAD_BYTES: usize = 16;

/** No position: what was read cannot be part of a frame. Address 0 is never within one. */
const WRONG: usize = 0;

/** Whether `length` bytes at `frame` are one whole, undamaged frame. */
export function verify(frame: usize, length: usize, out: usize): bool {
  if (length < FOOTER_BYTES) return false;
  const footer = frame + length - FOOTER_BYTES;
  const bodyBytes = load<u32>(footer);
  const extensionBytes = load<u32>(footer, 4);
  if (load<u64>(footer, FOOTER_MAGIC) != MAGIC) return false;
  if (<u64>bodyBytes + <u64>extensionBytes != <u64>(length - FOOTER_BYTES)) return false;
  if (load<u64>(footer, FOOTER_CHECKSUM) != xxh64(frame, length - FOOTER_CHECKSUM)) return false;
  if (load<u64>(footer, FOOTER_VERSION) != VERSION_AND_FLAGS) return false;
  return index(frame, bodyBytes, out) && indexExtension(frame, frame + bodyBytes, footer, out);
}

/** Whether `length` bytes at `body` are a canonical body. */
export function index(body: usize, length: usize, out: usize): bool {
  const end = body + length;
  if (length < HEADER_BYTES + 4) return false;
  const operators = load<u32>(body, HEADER_BYTES);
  let at = entries(body + HEADER_BYTES + 4, end, operators, true);
  if (at == WRONG || end - at < 4) return false;
  const sources = load<u32>(at);
  at += 4;
  store<u32>(out, operators, OUT_OPERATOR_COUNT);
  store<u32>(out, sources, OUT_SOURCE_COUNT);
  store<u32>(out, <u32>(at - body), OUT_SOURCES_AT);
  store<u32>(out, <u32>length, OUT_BODY_END);
  return entries(at, end, sources, false) == end;
}

/** Steps over `count` named entries, states or offsets, whose names must ascend strictly; the address behind them. */
// @ts-ignore: decorator
@inline
function entries(start: usize, end: usize, count: u32, hasStates: bool): usize {
  let at = start;
  let previous: usize = WRONG;
  let previousBytes: usize = 0;
  for (let i: u32 = 0; i < count; i++) {
    if (end - at < 4) return WRONG;
    const nameBytes: usize = load<u32>(at);
    const name = at + 4;
    if (end - name < nameBytes) return WRONG;
    at = name + nameBytes;
    if (!isUtf8(name, at)) return WRONG;
    if (previous != WRONG && compare(previous, previousBytes, name, nameBytes) >= 0) return WRONG;
    previous = name;
    previousBytes = nameBytes;
    let valueBytes: usize = 8;
    if (hasStates) {
      if (end - at < 4) return WRONG;
      valueBytes = load<u32>(at);
      at += 4;
    }
    if (end - at < valueBytes) return WRONG;
    at += valueBytes;
  }
  return at;
}

function indexExtension(frame: usize, start: usize, end: usize, out: usize): bool {
  if (end - start < EXTENSION_HEAD_BYTES + 4) return false;
  const idBytes: usize = load<u32>(start, EXTENSION_HEAD_BYTES);
  const id = start + EXTENSION_HEAD_BYTES + 4;
  if (end - id < idBytes) return false;
  const versions = id + idBytes;
  if (!isUtf8(id, versions)) return false;
  const operators = load<u32>(out, OUT_OPERATOR_COUNT);
  const left: u64 = end - versions;
  if (left < 4 * <u64>operators + 4) return false;
  const metadata = versions + 4 * operators;
  const count = load<u32>(metadata);
  store<u32>(out, <u32>(id - frame), OUT_STREAM_ID_START);
  store<u32>(out, <u32>(versions - frame), OUT_STREAM_ID_END);
  store<u32>(out, <u32>(versions - frame), OUT_VERSIONS_AT);
  store<u32>(out, count, OUT_METADATA_COUNT);
  store<u32>(out, <u32>(metadata + 4 - frame), OUT_METADATA_AT);
  store<u32>(out, <u32>(end - frame), OUT_EXTENSION_END);
  return metadataEnd(metadata + 4, end, count) == end;
}

function metadataEnd(start: usize, end: usize, count: u32): usize {
  let at = start;
  let previous: usize = WRONG;
  let previousBytes: usize = 0;
  for (let i: u32 = 0; i < count; i++) {
    const key = at + 4;
    at = textEnd(at, end);
    if (at == WRONG) return WRONG;
    if (previous != WRONG && compare(previous, previousBytes, key, at - key) >= 0) return WRONG;
    previous = key;
    previousBytes = at - key;
    at = textEnd(at, end);
    if (at == WRONG) return WRONG;
  }
  return at;
}

/** Address behind the length-prefixed text at `at`. */
function textEnd(at: usize, end: usize): usize {
  if (end - at < 4) return WRONG;
  const bytes: usize = load<u32>(at);
  const start = at + 4;
  if (end - start < bytes || !isUtf8(start, start + bytes)) return WRONG;
  return start + bytes;
}

/** Less than, equal to or greater than 0, as the bytes of `a` sort before, with or after those of `b`. */
// @ts-ignore: decorator
@inline
function compare(a: usize, aBytes: usize, b: usize, bBytes: usize): i32 {
  const shared = min(aBytes, bBytes);
  for (let i: usize = 0; i < shared; i++) {
    const difference = <i32>load<u8>(a + i) - <i32>load<u8>(b + i);
    if (difference != 0) return difference;
  }
  return aBytes < bBytes ? -1 : aBytes > bBytes ? 1 : 0;
}

/** Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF, nothing cut. */
// @ts-ignore: decorator
@inline
function isUtf8(start: usize, end: usize): bool {
  let at = start;
  while (end - at >= 8 && (load<u64>(at) & 0x8080808080808080) == 0) at += 8;
  while (at < end && load<u8>(at) < 0x80) at++;
  return at == end || isUtf8Rest(at, end);
}

function isUtf8Rest(start: usize, end: usize): bool {
  let at = start;
  while (at < end) {
    const lead: u32 = load<u8>(at);
    if (lead < 0x80) {
      at++;
      continue;
    }
    // The second byte's bounds rule out what is overlong, a surrogate or too great.
    let more: usize = 1;
    let least: u32 = 0x80;
    let most: u32 = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead == 0xe0) least = 0xa0;
      if (lead == 0xed) most = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead == 0xf0) least = 0x90;
      if (lead == 0xf4) most = 0x8f;
    } else {
      return false;
    }
    if (end - at <= more) return false;
    const second: u32 = load<u8>(at, 1);
    if (second < least || second > most) return false;
    for (let i: usize = 2; i <= more; i++) if ((load<u8>(at + i) & 0xc0) != 0x80) return false;
    at += more + 1;
  }
  return true;
}
