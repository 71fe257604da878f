/** What can be found wrong in a directory of ours, as plain data for reports. */
import type { ScannedCommit } from './scan.ts';

export type DamageKind =
  /** A slot of the superblock does not verify, or the file is missing. */
  | 'superblock'
  /** One copy of a segment's header does not verify, or both. */
  | 'segment-header'
  /** A segment that later ones speak of is not there, or is shorter than it was. */
  | 'segment-missing'
  | 'segment-truncated'
  /** A segment of another directory lies in this one. */
  | 'segment-foreign'
  /** A COMMIT record does not verify; its frames may. */
  | 'commit'
  /** A frame of a durable commit does not verify. */
  | 'frame'
  /** Commits that were durable are gone, or parts of them are of which nothing says what they were. */
  | 'commits-missing'
  /** The index of a segment does not verify; the segment is read instead. */
  | 'index'
  /** Bytes that are always zero are not. Nothing is lost by it. */
  | 'padding'
  | 'lock';

export interface Damage {
  readonly kind: DamageKind;
  readonly file: string;
  /** Byte position in the file, where it is known. */
  readonly position?: number;
  readonly commit?: number;
  /** The checkpoint that it touches, where that is known. */
  readonly stream?: string;
  readonly sequence?: bigint;
  /** One line that says what is wrong and what it costs. */
  readonly detail: string;
}

/** What is damaged in a commit of the segment in `file`. */
export function damageOfCommit(file: string, commit: ScannedCommit): Damage[] {
  const { number, record, start, paddingDamage } = commit;
  const damage: Damage[] = [];
  const frames = commit.state === 'good' ? [] : commit.frames;
  if (commit.state === 'damaged' && record === undefined) {
    const kept = frames.filter((frame) => frame.damage === undefined).length;
    const detail = `the record of commit ${number} does not verify; ${kept} of its checkpoints do`;
    damage.push({ kind: 'commit', file, position: start, commit: number, detail });
  }
  for (const { damage: detail, position, stream, sequence } of frames) {
    if (detail === undefined) continue;
    damage.push({
      kind: 'frame',
      file,
      position: position < 0 ? start : position,
      commit: number,
      ...(stream === undefined ? {} : { stream }),
      ...(sequence === undefined ? {} : { sequence }),
      detail,
    });
  }
  if (paddingDamage !== undefined) {
    const detail = 'padding that is always zero is not; nothing is lost by it';
    damage.push({ kind: 'padding', file, position: paddingDamage, commit: number, detail });
  }
  return damage;
}
