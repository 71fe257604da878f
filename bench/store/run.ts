/**
 * A process of the store suite, started by `bench/store.ts`: it opens stores, saves into one of them sample by sample,
 * or recovers one. It answers request by request until it is killed.
 */
import { findCase, type StoreCase } from './cases.ts';
import { FrameSource, streamName } from './frame-source.ts';
import { answerRequests } from './peer.ts';
import { RecoveryTarget } from './recovery-target.ts';
import { SaveRun, type SaveSample } from './save-run.ts';
import { loadSubject } from './subject.ts';

interface Place {
  readonly subject: string;
  readonly case: string;
  readonly isSmoke: boolean;
  readonly directory: string;
}

export type RunRequest =
  /** Opens the store that samples go to from now on, and saves every stream. */
  | ({ readonly kind: 'open' } & Place)
  | { readonly kind: 'sample' }
  /** Checks what the store holds, and closes it. */
  | { readonly kind: 'finish' }
  | ({ readonly kind: 'recover' } & Place);

/** Streams whose recovered bytes are compared; of all others it is known that they verify. */
const COMPARED_STREAMS = 100;

let run: SaveRun | undefined;

async function serve(request: RunRequest): Promise<SaveSample | number | undefined> {
  switch (request.kind) {
    case 'open': {
      const plan = findCase(request.case, request.isSmoke);
      run = await SaveRun.begin(await loadSubject(request.subject), plan, request.directory);
      return undefined;
    }
    case 'sample':
      return opened().sample();
    case 'finish':
      await opened().finish();
      return undefined;
    case 'recover':
      return recover(request.subject, findCase(request.case, request.isSmoke), request.directory);
    default:
      return request satisfies never;
  }
}

function opened(): SaveRun {
  if (run === undefined) throw new Error('no store is open');
  return run;
}

/** Nanoseconds from the directory to every stream's newest checkpoint in an engine's memory, verified. */
async function recover(name: string, plan: StoreCase, directory: string): Promise<number> {
  const subject = await loadSubject(name);
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

answerRequests(serve);
