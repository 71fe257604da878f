/** Times one recovery, and looks at what came of it. */
import type { StoreCase } from './cases.ts';
import { FrameSource, streamName } from './frame-source.ts';
import { RecoveryTarget } from './recovery-target.ts';
import type { StoreSubjectModule } from './subject.ts';

/** Streams whose recovered bytes are compared; of all others it is known that they verify. */
const COMPARED_STREAMS = 100;

/**
 * Nanoseconds from the directory to every stream's newest checkpoint in an engine's memory, verified.
 * @throws Error unless they are all there
 */
export async function measureRecovery(
  subject: Pick<StoreSubjectModule, 'recover'>,
  plan: StoreCase,
  directory: string,
): Promise<number> {
  const target = new RecoveryTarget(plan);
  const start = process.hrtime.bigint();
  await subject.recover?.({ plan, directory, target });
  const ns = Number(process.hrtime.bigint() - start);
  requireRecovered(plan, target);
  return ns;
}

function requireRecovered(plan: StoreCase, { memory, frames }: RecoveryTarget): void {
  const source = new FrameSource(plan.frameBytes, 1);
  const byStream = new Map(frames.map((frame) => [frame.stream, frame]));
  if (frames.length !== plan.streams) throw new Error(`${frames.length} checkpoints were recovered`);
  const stride = Math.max(1, Math.floor(plan.streams / COMPARED_STREAMS));
  for (let stream = 0; stream < plan.streams; stream++) {
    const found = byStream.get(streamName(stream));
    if (found === undefined) throw new Error(`${streamName(stream)} was not recovered`);
    const { address, bytes } = found;
    if (memory.view.getBigUint64(address, true) !== BigInt(plan.passes))
      throw new Error(`what was recovered of ${streamName(stream)} is not its newest checkpoint`);
    if (stream % stride !== 0) continue;
    const expected = source.expected(stream, plan.passes);
    if (Buffer.compare(memory.u8.subarray(address, address + bytes), expected) !== 0)
      throw new Error(`the recovered bytes of ${streamName(stream)} differ`);
  }
}
