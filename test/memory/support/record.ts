/** Records whose every byte follows from a seed and their number, so that either thread can check them. */
import type { EngineMemory } from '../../../src/memory/engine-memory.ts';
import { AT, RECORD, recordBytes } from '../../../src/memory/ingest-ring.ts';

export interface NumberedRecord {
  readonly seed: number;
  readonly number: number;
  /** Bytes of content behind the header. */
  readonly contentBytes: number;
}

export function bytesOf(record: NumberedRecord): number {
  return recordBytes(AT.name, record.contentBytes);
}

export function writeRecord(memory: EngineMemory, address: number, record: NumberedRecord): void {
  const bytes = bytesOf(record);
  const word = address >>> 2;
  memory.u32[word] = bytes;
  memory.u32[word + 1] = RECORD.event;
  memory.u32[word + 2] = record.number;
  memory.u32[word + 3] = record.contentBytes;
  for (let at = AT.name; at < bytes; at += 4) memory.u32[(address + at) >>> 2] = contentWord(record, at);
}

/** What is wrong with the record at `address`, or undefined. */
export function findDifference(
  memory: EngineMemory,
  address: number,
  record: NumberedRecord,
): string | undefined {
  const bytes = bytesOf(record);
  const word = address >>> 2;
  const header = [bytes, RECORD.event, record.number, record.contentBytes];
  for (const [i, expected] of header.entries()) {
    const found = memory.u32[word + i];
    if (found !== expected) return `record ${record.number}: header word ${i} is ${found}, not ${expected}`;
  }
  for (let at = AT.name; at < bytes; at += 4) {
    if (memory.u32[(address + at) >>> 2] !== contentWord(record, at)) {
      return `record ${record.number}: wrong content at byte ${at}`;
    }
  }
  return undefined;
}

function contentWord(record: NumberedRecord, at: number): number {
  return Math.imul(record.number ^ record.seed, 0x9e37_79b1 + at) >>> 0;
}
