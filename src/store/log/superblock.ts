/** One slot of the superblock as bytes: what the directory is and which generation owns it. See FORMAT.md. */
import { xxh64 } from '../../codec/xxh64.ts';
import {
  DIRECTORY_ID_BYTES,
  FORMAT_VERSION,
  getCounter,
  isZero,
  putCounter,
  SECTOR_BYTES,
  SUPERBLOCK_SLOT_BYTES,
  viewOf,
} from './layout.ts';

/** "TDMKSUPR" as little-endian words. */
const MAGIC_LOW = 0x4b4d4454;
const MAGIC_HIGH = 0x52505553;

const AT = {
  magic: 0,
  version: 8,
  perStream: 12,
  directoryId: 16,
  counter: 32,
  generation: 40,
  durableCommit: 48,
  carryCommit: 56,
  settledCommit: 64,
  diskBytes: 72,
  headIndex: 80,
  /** Within the first sector, like all the rest: a write of the slot cannot be torn between sectors. */
  checksum: SECTOR_BYTES - 8,
} as const;

export interface Superblock {
  readonly directoryId: Uint8Array;
  /** One more with each write; the slot with the greater one is the newer. */
  readonly counter: number;
  /** Of the engine that opened the directory last. */
  readonly generation: number;
  /** Commits up to this one are known to be durable: whichever of them is missing is damage, not a torn tail. */
  readonly durableCommit: number;
  /** The last commit, up to `durableCommit`, in which compaction carried frames. */
  readonly carryCommit: number;
  /** Damage in commits up to this one has been taken into the frontiers. */
  readonly settledCommit: number;
  /** Options of the last opening, for tools that read the directory without any. */
  readonly perStream: number;
  readonly diskBytes: number;
  /** Where in the newest segment its INDEX record is; 0: it has none, or the directory is open. */
  readonly headIndex: number;
}

export type SuperblockSlot =
  /** `isClean`: the unused rest of the slot is zeros, as it was written. */
  | { readonly state: 'good'; readonly superblock: Superblock; readonly isClean: boolean }
  | { readonly state: 'damaged' }
  | { readonly state: 'newer'; readonly version: number };

export function encodeSuperblock(superblock: Superblock): Uint8Array {
  const bytes = new Uint8Array(SUPERBLOCK_SLOT_BYTES);
  const view = viewOf(bytes);
  view.setUint32(AT.magic, MAGIC_LOW, true);
  view.setUint32(AT.magic + 4, MAGIC_HIGH, true);
  view.setUint32(AT.version, FORMAT_VERSION, true);
  view.setUint32(AT.perStream, superblock.perStream, true);
  bytes.set(superblock.directoryId, AT.directoryId);
  putCounter(view, AT.counter, superblock.counter);
  putCounter(view, AT.generation, superblock.generation);
  putCounter(view, AT.durableCommit, superblock.durableCommit);
  putCounter(view, AT.carryCommit, superblock.carryCommit);
  putCounter(view, AT.settledCommit, superblock.settledCommit);
  putCounter(view, AT.diskBytes, superblock.diskBytes);
  putCounter(view, AT.headIndex, superblock.headIndex);
  view.setBigUint64(AT.checksum, xxh64(bytes, 0, AT.checksum), true);
  return bytes;
}

/** Reads the slot that fills `bytes`; fewer bytes than a slot are a damaged one. */
export function decodeSuperblock(bytes: Uint8Array): SuperblockSlot {
  if (bytes.length < SUPERBLOCK_SLOT_BYTES) return { state: 'damaged' };
  const view = viewOf(bytes);
  const good =
    view.getUint32(AT.magic, true) === MAGIC_LOW &&
    view.getUint32(AT.magic + 4, true) === MAGIC_HIGH &&
    view.getBigUint64(AT.checksum, true) === xxh64(bytes, 0, AT.checksum);
  if (!good) return { state: 'damaged' };
  const version = view.getUint32(AT.version, true);
  if (version !== FORMAT_VERSION) return { state: 'newer', version };
  const superblock = {
    directoryId: bytes.slice(AT.directoryId, AT.directoryId + DIRECTORY_ID_BYTES),
    counter: getCounter(view, AT.counter),
    generation: getCounter(view, AT.generation),
    durableCommit: getCounter(view, AT.durableCommit),
    carryCommit: getCounter(view, AT.carryCommit),
    settledCommit: getCounter(view, AT.settledCommit),
    perStream: view.getUint32(AT.perStream, true),
    diskBytes: getCounter(view, AT.diskBytes),
    headIndex: getCounter(view, AT.headIndex),
  };
  return { state: 'good', superblock, isClean: isZero(bytes, SECTOR_BYTES, SUPERBLOCK_SLOT_BYTES) };
}
