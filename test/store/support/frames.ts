/** Frames for tests: real ones, of a wanted size, with bytes that follow from stream and sequence. */
import { CheckpointId } from '../../../src/checkpoint/id.ts';
import { CheckpointState } from '../../../src/checkpoint/state.ts';
import { encodeFrame } from '../../../src/codec/frame.ts';
import type { LogFrame } from '../../../src/store/log/log-store.ts';

export interface FrameShape {
  /** Bytes of operator state. */
  readonly stateBytes?: number;
  readonly generation?: bigint;
  /** Makes frames of one stream and sequence differ. */
  readonly salt?: number;
}

export function frameOf(stream: string, sequence: bigint | number, shape: FrameShape = {}): LogFrame {
  const { stateBytes = 40, generation = 1n, salt = 0 } = shape;
  const state = new CheckpointState(new CheckpointId(stream, sequence, new Date(1_700_000_000_000)));
  const bytes = new Uint8Array(stateBytes);
  for (let i = 0; i < stateBytes; i++)
    bytes[i] = (i * 31 + Number(sequence) * 7 + salt + stream.length) & 0xff;
  state.setOperatorState('operator', bytes);
  state.eventCount = BigInt(sequence);
  return { stream, sequence: BigInt(sequence), bytes: encodeFrame(state, { generation }) };
}
