/** The subjects of the codec suite that are ours, and the limits that they are held against. */
import { crc32 } from 'node:zlib';
import { CheckpointId } from '../src/checkpoint/id.ts';
import { CheckpointState } from '../src/checkpoint/state.ts';
import { encodeFrame } from '../src/codec/frame.ts';
import { viewFrame } from '../src/codec/view.ts';
import { xxh64, xxh64Into } from '../src/codec/xxh64.ts';
import { viewFrameAt } from '../src/memory/frame-view.ts';
import type { BodyReader, ReadParts } from './body-reader.ts';
import type { FrameRange, LiveStreams } from './live-stream.ts';
import type { MemoryCopy } from './memory-copy.ts';
import {
  type PlainState,
  readNames,
  requireRead,
  requireSameState,
  type Shape,
  STREAM,
  versionAt,
} from './shapes.ts';
import type { Subject } from './suite.ts';

export function toModel(state: PlainState): CheckpointState {
  const model = new CheckpointState(new CheckpointId(STREAM, state.sequence, new Date(1_700_000_000_000)));
  model.watermarkNs = state.watermarkNs;
  model.eventCount = state.eventCount;
  for (const [name, bytes] of Object.entries(state.operators)) model.setOperatorState(name, bytes);
  for (const [name, offset] of Object.entries(state.sources)) model.setSourceOffset(name, offset);
  return model;
}

function toPlain(model: CheckpointState): PlainState {
  return {
    sequence: model.id.sequence,
    watermarkNs: model.watermarkNs,
    eventCount: model.eventCount,
    operators: Object.fromEntries(model.operatorStates),
    sources: Object.fromEntries(model.sourceOffsets),
  };
}

export function imageToBody(live: LiveStreams): Subject {
  const { memory, bodyBytes } = live;
  const operate = (turn: number): number => {
    const { image } = live.versionAt(turn).stream;
    const to = live.destinationAt(turn);
    memory.kernel.copy(to, image, bodyBytes);
    return to;
  };
  return {
    name: 'tidemark',
    bytesPerOp: bodyBytes,
    operate,
    check(turn) {
      const to = operate(turn);
      const found = CheckpointState.deserialize(STREAM, memory.u8.slice(to, to + bodyBytes));
      requireSameState(toPlain(found), live.versionAt(turn).state, this.name);
    },
  };
}

export function imageToFrame(live: LiveStreams): Subject {
  return {
    name: 'tidemark',
    bytesPerOp: live.frameBytes,
    operate: (turn) => live.frameAt(turn),
    check(turn) {
      const { address, bytes } = live.frameAt(turn);
      const view = viewFrame(live.memory.u8.subarray(address, address + bytes));
      requireSameState(toPlain(view.toState()), live.versionAt(turn).state, this.name);
    },
  };
}

/** The pure TypeScript codec on a state in maps: what the API offers without an engine. */
export function modelToBody(models: readonly CheckpointState[], states: readonly PlainState[]): Subject {
  const operate = (turn: number): Uint8Array => versionAt(models, turn).serialize();
  return {
    name: 'tidemark-typescript',
    bytesPerOp: operate(0).length,
    operate,
    check(turn) {
      requireSameState(
        toPlain(CheckpointState.deserialize(STREAM, operate(turn))),
        versionAt(states, turn),
        this.name,
      );
    },
  };
}

export function modelToFrame(models: readonly CheckpointState[], states: readonly PlainState[]): Subject {
  const operate = (turn: number): Uint8Array => encodeFrame(versionAt(models, turn));
  return {
    name: 'tidemark-typescript',
    bytesPerOp: operate(0).length,
    operate,
    check(turn) {
      requireSameState(toPlain(viewFrame(operate(turn)).toState()), versionAt(states, turn), this.name);
    },
  };
}

export function copying(live: LiveStreams, copy: MemoryCopy, bytes: number): Subject {
  const { memory } = live;
  const operate = (turn: number): number => {
    const to = live.destinationAt(turn);
    copy(to, live.versionAt(turn).stream.image, bytes);
    return to;
  };
  return {
    name: 'memcpy',
    bytesPerOp: bytes,
    operate,
    check(turn) {
      const to = operate(turn);
      const { image } = live.versionAt(turn).stream;
      const isSame =
        Buffer.compare(memory.u8.subarray(to, to + bytes), memory.u8.subarray(image, image + bytes)) === 0;
      if (!isSame) throw new Error('memcpy: the copy differs');
    },
  };
}

/** A frame in the engine's memory, checked there by the kernel: how the engine and recovery read. */
export function liveFrameToView(live: LiveStreams, frames: readonly FrameRange[], shape: Shape): Subject {
  const names = readNames(shape);
  const operate = (turn: number): ReadParts => {
    const { address, bytes } = versionAt(frames, turn);
    const view = viewFrameAt(live.memory, address, bytes);
    return { operator: view.operator(names.operator), offset: view.sourceOffset(names.source) };
  };
  return {
    name: 'tidemark',
    bytesPerOp: live.frameBytes,
    operate,
    check: (turn) => requireRead(operate(turn), live.versionAt(turn).state, shape, 'tidemark'),
  };
}

export function frameToView(
  frames: readonly Uint8Array[],
  states: readonly PlainState[],
  shape: Shape,
): Subject {
  const names = readNames(shape);
  const operate = (turn: number): ReadParts => {
    const view = viewFrame(versionAt(frames, turn));
    return { operator: view.operator(names.operator), offset: view.sourceOffset(names.source) };
  };
  return {
    name: 'tidemark-typescript',
    bytesPerOp: versionAt(frames, 0).length,
    operate,
    check: (turn) => requireRead(operate(turn), versionAt(states, turn), shape, 'tidemark-typescript'),
  };
}

export function bodyToView(
  reader: BodyReader,
  live: LiveStreams,
  states: readonly PlainState[],
  shape: Shape,
): Subject {
  const names = readNames(shape);
  const operate = reader.prepare(live, names);
  return {
    name: reader.subject,
    bytesPerOp: live.bodyBytes,
    operate,
    check: (turn) => requireRead(operate(turn), versionAt(states, turn), shape, reader.subject),
  };
}

export function bodyToModel(models: readonly CheckpointState[], states: readonly PlainState[]): Subject {
  const bodies = models.map((model) => model.serialize());
  const operate = (turn: number): CheckpointState =>
    CheckpointState.deserialize(STREAM, versionAt(bodies, turn));
  return {
    name: 'tidemark',
    bytesPerOp: versionAt(bodies, 0).length,
    operate,
    check: (turn) => requireSameState(toPlain(operate(turn)), versionAt(states, turn), 'tidemark'),
  };
}

/** The checksum of a frame, by the kernel, on live frames. */
export function frameChecksum(live: LiveStreams, frames: readonly FrameRange[]): Subject {
  const { memory } = live;
  const operate = (turn: number): number => {
    const { address, bytes } = versionAt(frames, turn);
    memory.kernel.checksum(memory.scratch, address, bytes);
    return memory.u32[memory.scratch >>> 2] as number;
  };
  return {
    name: 'tidemark',
    bytesPerOp: versionAt(frames, 0).bytes,
    operate,
    check(turn) {
      const { address, bytes } = versionAt(frames, turn);
      const expected = xxh64(memory.u8.slice(address, address + bytes));
      if (operate(turn) !== Number(expected & 0xffff_ffffn))
        throw new Error('tidemark: the checksum differs');
    },
  };
}

export function frameChecksumInTypescript(frames: readonly Uint8Array[]): Subject {
  const sum = new Uint32Array(2);
  const operate = (turn: number): number => {
    const frame = versionAt(frames, turn);
    xxh64Into(frame, 0, frame.length, sum);
    return sum[0] as number;
  };
  return {
    name: 'tidemark-typescript',
    bytesPerOp: versionAt(frames, 0).length,
    operate,
    check(turn) {
      if (Number(xxh64(versionAt(frames, turn)) & 0xffff_ffffn) !== operate(turn))
        throw new Error('tidemark-typescript: the checksum differs');
    },
  };
}

export function frameCrc(frames: readonly Uint8Array[]): Subject {
  return {
    name: 'zlib.crc32',
    bytesPerOp: versionAt(frames, 0).length,
    operate: (turn) => crc32(versionAt(frames, turn)),
    check: () => undefined,
  };
}
