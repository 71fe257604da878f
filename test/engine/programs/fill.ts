/**
 * Makes checkpoints of sized slots durable until `bytes` of them have been, then says how far each stream came. Some
 * streams are written to rarely, so that their checkpoints have to be carried along.
 */
import { CheckpointEngine } from '../../../src/index.ts';
import { OPERATORS } from '../support/operators.ts';
import { argument, report } from '../support/program.ts';

const { directory, diskBytes, bytes } = argument<{ directory: string; diskBytes: number; bytes: number }>();

const SIZES = [64, 1_000, 8_192, 30_000, 60_000];
const streams = Array.from({ length: 40 }, (_, n) => `${SIZES[n % SIZES.length]}-${n}`);
const pushed = new Map<string, number>();

await using engine = await CheckpointEngine.open({
  operators: OPERATORS.sized,
  directory,
  checkpoint: { everyEvents: 1 },
  retain: { perStream: 2, diskBytes },
});
for (let round = 0; engine.metrics().checkpoints.durableBytes < bytes; round++) {
  const due = streams.filter((_, n) => n % 4 !== 0 || round % 50 === n);
  await engine.push(due.map((stream) => ({ stream, payload: String.fromCharCode(32 + (round % 90)) })));
  await engine.checkpoint();
  for (const stream of due) pushed.set(stream, (pushed.get(stream) ?? 0) + 1);
}
const { durableBytes } = engine.metrics().checkpoints;
report({ durableBytes, pushed: Object.fromEntries(pushed) });
