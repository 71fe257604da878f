/**
 * One life of an engine that runs a random job: from where the directory says, in batches and with options of the
 * life's own, until the job is done, or the test kills the process, or the life chooses to close early.
 */
import { CheckpointEngine, type Event } from '../../../src/index.ts';
import { Random } from '../../support/random.ts';
import { OPERATORS } from '../support/operators.ts';
import { argument, report } from '../support/program.ts';
import { randomJob } from '../support/random-job.ts';

const { directory, jobSeed, lifeSeed, isWhole } = argument<{
  directory: string;
  jobSeed: number;
  lifeSeed: number;
  /** Runs the job to its end, or until it is killed; otherwise it closes somewhere on the way. */
  isWhole: boolean;
}>();

const random = new Random(lifeSeed);
await using engine = await CheckpointEngine.open({
  operators: OPERATORS.tally,
  directory,
  shards: random.between(1, 3),
  checkpoint: {
    everyEvents: random.magnitude(2_000),
    everyMs: random.magnitude(50),
    minPauseMs: random.below(3),
  },
  memory: { bytes: 2 ** random.between(22, 25), ringBytes: 2 ** random.between(12, 18) },
  retain: { perStream: random.between(1, 4), diskBytes: 2 ** random.between(22, 24) },
});
report({
  restored: engine.receipt.streams.map(({ stream, sequence }) => [stream, `${sequence}`]),
  positions: [...engine.receipt.positions].map(([source, offset]) => [source, `${offset}`]),
  fellBack: engine.receipt.streams.filter(({ fellBack }) => fellBack > 0).length + engine.receipt.lost.length,
});
engine.on('durable', ({ stream, sequence }) => report({ durable: stream, sequence }));
engine.on('frontier', ({ source, offset }) => report({ frontier: source, offset }));

const records = randomJob(jobSeed).filter(([event]) => {
  const position = engine.position(event?.source ?? '');
  return position === undefined || BigInt(event?.offset ?? 0) >= position;
});
const end = isWhole ? records.length : random.below(records.length + 1);
let unawaited: Promise<unknown>[] = [];
for (let at = 0; at < end; ) {
  const batch = records.slice(at, Math.min(end, at + random.magnitude(300)));
  at += batch.length;
  const events = batch.flat();
  unawaited.push(push(events));
  if (random.chance(0.5)) {
    await Promise.all(unawaited);
    unawaited = [];
  }
  if (random.chance(0.03)) unawaited.push(engine.checkpoint());
  if (random.chance(0.03)) unawaited.push(engine.checkpoint(random.pick([...engine.streams()])));
}
await Promise.all(unawaited);
// Some lives end here without having been killed.
await engine.close();
report({ closed: true });

function push(events: readonly Event[]): Promise<void> {
  if (random.chance(0.05)) return engine.push(events, { until: 'durable' });
  if (random.chance(0.5)) return engine.push(events);
  return Promise.all(events.map((event) => engine.push(event))).then(() => undefined);
}
