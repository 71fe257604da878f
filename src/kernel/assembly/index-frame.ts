// Finds the parts of a frame: the same checks as the TypeScript codec makes, which is the specification. No
// length that is read from the bytes is used before it is held against the bytes that are left. The one position that
// takes a walk to find is returned, that of the first source; what else there is can be had from the bytes.

import { OPERATOR_COUNT, OPERATORS_AT } from './body';
import {
  FOOTER_BYTES,
  FOOTER_CHECKSUM,
  FOOTER_MAGIC,
  FOOTER_VERSION,
  MAGIC,
  VERSION_AND_FLAGS,
} from './footer';
import { recognise, remember } from './known-layout';
import { compare, isUtf8 } from './names';
import { xxh64 } from './xxh64';

const EXTENSION_HEAD_BYTES: usize = 16;

/** No position: what was read cannot be part of a frame. Address 0 is never within one. */
const WRONG: usize = 0;

/** Whether `length` bytes at `frame` end with a footer that fits them, its checksum included. */
// @ts-ignore: decorator
@inline
export function isFrame(frame: usize, length: usize): bool {
  if (length < FOOTER_BYTES) return false;
  const footer = frame + length - FOOTER_BYTES;
  if (load<u64>(footer, FOOTER_MAGIC) != MAGIC || load<u64>(footer, FOOTER_VERSION) != VERSION_AND_FLAGS) return false;
  if (<u64>load<u32>(footer) + <u64>load<u32>(footer, 4) != <u64>(length - FOOTER_BYTES)) return false;
  return load<u64>(footer, FOOTER_CHECKSUM) == xxh64(frame, length - FOOTER_CHECKSUM);
}

/** Where in the frame its first source is; 0 unless `length` bytes at `frame` are one whole, undamaged frame. */
export function verify(frame: usize, length: usize, known: usize): usize {
  if (!isFrame(frame, length)) return 0;
  const footer = frame + length - FOOTER_BYTES;
  const bodyBytes = load<u32>(footer);
  const sources = index(frame, bodyBytes, known);
  if (sources == 0) return 0;
  const operators = load<u32>(frame, OPERATOR_COUNT);
  return isExtension(frame + bodyBytes, footer, operators) ? sources : 0;
}

/**
 * Where in the body its first source is; 0 unless `length` bytes at `body` are a canonical body. At `known` is the
 * layout that the thread knows.
 */
export function index(body: usize, length: usize, known: usize): usize {
  if (length < OPERATORS_AT + 4) return 0;
  const recognised = recognise(body, length, known);
  if (recognised != 0) return recognised;
  const sources = walk(body, length);
  if (sources != 0) remember(body, length, sources, known);
  return sources;
}

function walk(body: usize, length: usize): usize {
  const end = body + length;
  let at = entries(body + OPERATORS_AT, end, load<u32>(body, OPERATOR_COUNT), true);
  if (at == WRONG || end - at < 4) return 0;
  const count = load<u32>(at);
  at += 4;
  return entries(at, end, count, false) == end ? at - body : 0;
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
    if (previous != WRONG && compare(previous, previousBytes, name, nameBytes, end) >= 0) return WRONG;
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

/** Whether the bytes from `start` up to `end` are an extension of a body with so many operators. */
function isExtension(start: usize, end: usize, operators: u32): bool {
  if (end - start < EXTENSION_HEAD_BYTES + 4) return false;
  const idBytes: usize = load<u32>(start, EXTENSION_HEAD_BYTES);
  const id = start + EXTENSION_HEAD_BYTES + 4;
  if (end - id < idBytes) return false;
  const versions = id + idBytes;
  if (!isUtf8(id, versions)) return false;
  const left: u64 = end - versions;
  if (left < 4 * <u64>operators + 4) return false;
  const metadata = versions + 4 * operators;
  return metadataEnd(metadata + 4, end, load<u32>(metadata)) == end;
}

function metadataEnd(start: usize, end: usize, count: u32): usize {
  let at = start;
  let previous: usize = WRONG;
  let previousBytes: usize = 0;
  for (let i: u32 = 0; i < count; i++) {
    const key = at + 4;
    at = textEnd(at, end);
    if (at == WRONG) return WRONG;
    if (previous != WRONG && compare(previous, previousBytes, key, at - key, end) >= 0) return WRONG;
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
