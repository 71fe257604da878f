/**
 * Saves into one subject, sample by sample, and what must be found there in the end. The streams of a commit are
 * drawn at random, all different, as streams come due in no order; only the first pass goes through all in order.
 */
import type { StoreCase } from './cases.ts';
import { writtenBytes } from './disk.ts';
import { FrameSource, Random, streamName } from './frame-source.ts';
import type { SavedFrame, StoreSubject, StoreSubjectModule } from './subject.ts';

const PASS_FRAMES = 64;
const PASS_BYTES = 2 ** 20;

export interface SaveSample {
  readonly ns: number;
  /** Undefined where the system does not count. */
  readonly writtenBytes: number | undefined;
}

export class SaveRun {
  readonly #plan: StoreCase;
  readonly #source: FrameSource;
  readonly #subject: StoreSubject;
  /** Places of the frames outside of the engine's memory, for a subject that is not of the engine. */
  readonly #buffers: readonly Buffer[];
  readonly #random = new Random();
  /** The newest sequence of each stream. */
  readonly #sequences: Float64Array;
  /** All streams; the drawn ones come to its front. */
  readonly #deck: Uint32Array;

  private constructor(
    plan: StoreCase,
    source: FrameSource,
    subject: { readonly opened: StoreSubject; readonly isShared: boolean },
  ) {
    this.#plan = plan;
    this.#source = source;
    this.#subject = subject.opened;
    this.#sequences = new Float64Array(plan.streams);
    this.#deck = Uint32Array.from({ length: plan.streams }, (_, stream) => stream);
    this.#buffers = Array.from({ length: subject.isShared ? 0 : slotsOf(plan) }, () =>
      // Written once, so that a sample does not wait for the system's pages.
      Buffer.alloc(plan.frameBytes, 1),
    );
  }

  /** In `directory`, which is empty; as much is saved before the first sample as the case says. */
  static async begin(
    { open, isShared }: StoreSubjectModule,
    plan: StoreCase,
    directory: string,
  ): Promise<SaveRun> {
    const source = new FrameSource(plan.frameBytes, slotsOf(plan));
    const opened = await open({ plan, directory, memory: source.memory });
    const run = new SaveRun(plan, source, { opened, isShared });
    await run.#saveAll();
    for (let pass = 1; pass < plan.passes; pass++) {
      if (plan.kind === 'save') await run.#saveAsMany();
      else await run.#saveAll();
    }
    return run;
  }

  /** Times commits that follow each other without a pause; their frames are made before. */
  async sample(): Promise<SaveSample> {
    const { commits, framesPerCommit } = this.#plan;
    const batches = Array.from({ length: commits }, (_, commit) =>
      this.#frames(this.#draw(framesPerCommit), commit * framesPerCommit),
    );
    const subject = this.#subject;
    const before = writtenBytes();
    const start = process.hrtime.bigint();
    for (const batch of batches) await subject.commit(batch);
    const ns = Number(process.hrtime.bigint() - start);
    const after = writtenBytes();
    return { ns, writtenBytes: before === undefined || after === undefined ? undefined : after - before };
  }

  /** @throws Error unless every stream's newest checkpoint and what is kept of it are right */
  async finish(): Promise<void> {
    const { kept } = this.#subject;
    for (const [stream, newest] of kept === undefined ? [] : this.#sequences.entries()) {
      const name = streamName(stream);
      const sequences = (await kept?.sequences(name)) ?? [];
      const count = Math.min(newest, this.#plan.perStream);
      const expected = Array.from({ length: count }, (_, i) => newest - count + 1 + i);
      if (sequences.join() !== expected.join())
        throw new Error(`of ${name}, ${sequences.join()} are kept, not ${expected.join()}`);
      const bytes = await kept?.newest(name);
      if (bytes === undefined || Buffer.compare(bytes, this.#source.expected(stream, newest)) !== 0)
        throw new Error(`the newest checkpoint of ${name} is not the one that was saved`);
    }
    await this.#subject.close();
  }

  async #saveAll(): Promise<void> {
    const { streams } = this.#plan;
    const most = passFrames(this.#plan);
    for (let start = 0; start < streams; start += most) {
      const count = Math.min(most, streams - start);
      await this.#subject.commit(
        this.#frames(
          Array.from({ length: count }, (_, i) => start + i),
          0,
        ),
      );
    }
  }

  /** As many checkpoints as there are streams, drawn as those of the samples are. */
  async #saveAsMany(): Promise<void> {
    const { streams } = this.#plan;
    const most = passFrames(this.#plan);
    for (let start = 0; start < streams; start += most)
      await this.#subject.commit(this.#frames(this.#draw(Math.min(most, streams - start)), 0));
  }

  /** The streams of a commit. */
  #draw(count: number): Iterable<number> {
    const deck = this.#deck;
    for (let i = 0; i < count; i++) {
      const j = i + this.#random.below(deck.length - i);
      const drawn = deck[j] as number;
      deck[j] = deck[i] as number;
      deck[i] = drawn;
    }
    return deck.slice(0, count);
  }

  /** The next frame of each of `streams`, in the places from `slot` on. */
  #frames(streams: Iterable<number>, slot: number): SavedFrame[] {
    return Array.from(streams, (stream, i) => {
      const sequence = (this.#sequences[stream] as number) + 1;
      this.#sequences[stream] = sequence;
      const frame = this.#source.write(slot + i, stream, sequence);
      const buffer = this.#buffers[slot + i];
      buffer?.set(frame);
      return { stream: streamName(stream), sequence: BigInt(sequence), bytes: buffer ?? frame };
    });
  }
}

/**
 * Frames in a commit of the first passes: what comes before samples need not take as long as they do. Large ones come as
 * they do in samples, or the files would get another shape.
 */
function passFrames({ kind, streams, frameBytes, framesPerCommit }: StoreCase): number {
  if (kind !== 'save' || framesPerCommit * frameBytes >= PASS_BYTES) return framesPerCommit;
  return Math.max(framesPerCommit, Math.min(streams, PASS_FRAMES));
}

/** Frames of the largest set that is made at a time. */
function slotsOf(plan: StoreCase): number {
  return Math.max(passFrames(plan), plan.framesPerCommit * plan.commits);
}
