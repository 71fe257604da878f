/** Damaged frames of streams that are known, and what their loss means for each stream. Pure. */
import type { CheckpointIndex } from './checkpoint-index.ts';
import type { Tombstone } from './commit-record.ts';

export interface DamagedFrame {
  readonly stream: string;
  readonly sequence: bigint;
  readonly origin: number;
  readonly commit: number;
  readonly segment: number;
  readonly position: number;
  readonly length: number;
  readonly reason: string;
}

export interface FallBackVerdict {
  /** Per stream, how many newer checkpoints than its newest good one are damaged. */
  readonly fellBack: ReadonlyMap<string, { readonly count: number; readonly reason: string }>;
  /** Streams without a good checkpoint. */
  readonly lost: readonly { readonly stream: string; readonly reason: string }[];
  /** Commits to whose frontiers all frontiers have to go back. */
  readonly origins: ReadonlySet<number>;
  /** A stream lost all it had: everything has to be read from the start. */
  readonly toStart: boolean;
}

export class FallBacks {
  private readonly byStream = new Map<string, DamagedFrame[]>();

  add(frame: DamagedFrame): void {
    const frames = this.byStream.get(frame.stream);
    if (frames === undefined) this.byStream.set(frame.stream, [frame]);
    else frames.push(frame);
  }

  /** What was removed on purpose is not missed. */
  remove({ stream, below, through }: Tombstone): void {
    const frames = this.byStream.get(stream);
    if (frames === undefined) return;
    const left = frames.filter(
      ({ origin, sequence }) => origin > through || (below !== undefined && sequence >= below),
    );
    if (left.length === 0) this.byStream.delete(stream);
    else this.byStream.set(stream, left);
  }

  frames(): DamagedFrame[] {
    return [...this.byStream.values()].flat();
  }

  /** Damage in commits up to `settledCommit` still makes a stream fall back, but lowers nothing again. */
  decide(index: CheckpointIndex, settledCommit: number): FallBackVerdict {
    const fellBack = new Map<string, { count: number; reason: string }>();
    const lost: { stream: string; reason: string }[] = [];
    const origins = new Set<number>();
    let toStart = false;
    for (const [stream, frames] of this.byStream) {
      const good = index.newest(stream);
      const missed = frames.filter(
        ({ sequence, origin }) =>
          good === undefined ||
          sequence > good.sequence ||
          (sequence === good.sequence && origin > good.origin),
      );
      const last = missed.at(-1);
      if (last === undefined) continue;
      const unsettled = missed.some(({ commit }) => commit > settledCommit);
      if (good === undefined) {
        lost.push({ stream, reason: last.reason });
        toStart ||= unsettled;
      } else {
        const count = new Set(missed.map(({ sequence }) => sequence)).size;
        fellBack.set(stream, { count, reason: last.reason });
        if (unsettled) origins.add(good.origin);
      }
    }
    return { fellBack, lost, origins, toStart };
  }
}
