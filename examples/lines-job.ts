/**
 * A job for `tidemark run examples/lines-job.ts`: counts the lines of a log by their first word.
 *
 * Offsets are bytes of the file, so every event says where the next line begins, and reading goes on at that
 * byte. Sequences are left out: the shards count, and offsets tell which events a stream has had.
 */
import { createReadStream } from 'node:fs';
import { defineJob, type Event } from '../src/index.ts';

const file = process.env['LINES_FILE'] ?? 'lines.txt';
const NEWLINE = 0x0a;

async function* readLines(from: bigint | undefined, signal: AbortSignal): AsyncGenerator<Event[]> {
  let offset = Number(from ?? 0n);
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { start: offset, signal })) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    const events: Event[] = [];
    let start = 0;
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE, start)) {
      const line = rest.subarray(start, end);
      const [word = ''] = line.toString().split(' ', 1);
      const nextOffset = offset + end - start + 1;
      events.push({ stream: word, payload: line, offset, nextOffset });
      offset = nextOffset;
      start = end + 1;
    }
    // A line without its newline is not whole yet; the next run reads it.
    rest = rest.subarray(start);
    yield events;
  }
}

export default defineJob({
  source: { name: 'lines', read: readLines },
  operators: new URL('./counts-operators.ts', import.meta.url),
  checkpoint: { everyEvents: 1_000, everyMs: 100 },
});
