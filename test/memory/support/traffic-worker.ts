/** The shard's side of the traffic test: checks every record and return, completes every record. */
import { parentPort, workerData } from 'node:worker_threads';
import { ShardBell } from '../../../src/memory/doorbells.ts';
import { completionRing, EntryConsumer, EntryProducer, returnRing } from '../../../src/memory/entry-rings.ts';
import { IngestReader } from '../../../src/memory/ingest-ring.ts';
import { COMPLETION_ENTRY_BYTES, RETURN_ENTRY_BYTES } from '../../../src/memory/layout.ts';
import { Random } from '../../support/random.ts';
import { engineOf, type PeerData } from './peer.ts';
import { findDifference } from './record.ts';
import { entryWord, RecordSequence, type TrafficReport, type TrafficTask } from './traffic.ts';

/** A sleep of this length with work at its end means that a ring was lost. */
const LOST_RING_MS = 10_000;

const data = workerData as PeerData<TrafficTask>;
const { memory, arena } = engineOf(data);
const { seed, records } = data.task;
const reader = new IngestReader(memory, arena);
const completions = new EntryProducer(memory, completionRing(arena));
const returns = new EntryConsumer(memory, returnRing(arena));
const bell = new ShardBell(memory, arena);
const sequence = new RecordSequence(seed, arena.ingestBytes / 2 - 16);
const batches = new Random(~seed);

let failure: string | undefined;
let read = 0;
let returned = 0;
let sleeps = 0;

while ((read < records || returned < records) && failure === undefined) {
  const hasMoved = takeReturns() || readRecords();
  if (hasMoved) {
    bell.ringMain();
    continue;
  }
  sleeps++;
  const start = performance.now();
  bell.sleep(LOST_RING_MS, isIdle);
  if (performance.now() - start >= LOST_RING_MS) failure ??= 'a ring was lost';
}
bell.ringMain();
const report: TrafficReport = { failure, records: read, returns: returned, sleeps };
parentPort?.postMessage(report);

function isIdle(): boolean {
  return returns.peek() === 0 && (!reader.hasMore || completions.reserve() === 0);
}

function takeReturns(): boolean {
  let word = returns.peek();
  if (word === 0) return false;
  for (; word !== 0; word = returns.peek()) {
    for (let i = 0; i < RETURN_ENTRY_BYTES / 4; i++) {
      if (memory.u32[word + i] !== entryWord(seed, returned, i)) failure ??= `return ${returned} is wrong`;
    }
    returns.consume();
    returned++;
  }
  return true;
}

/** Reads a random number of records before it releases them. */
function readRecords(): boolean {
  const batch = batches.between(1, 40);
  let count = 0;
  while (count < batch) {
    const completion = completions.reserve();
    const address = completion === 0 ? 0 : reader.next();
    if (address === 0) break;
    failure ??= findDifference(memory, address, sequence.next());
    reader.advance(address);
    for (let i = 0; i < COMPLETION_ENTRY_BYTES / 4; i++)
      memory.u32[completion + i] = entryWord(seed, read, i);
    completions.publish();
    read++;
    count++;
  }
  if (count > 0) reader.release();
  return count > 0;
}
