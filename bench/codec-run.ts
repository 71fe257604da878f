/**
 * All cases of one shape of the codec suite, in a process of their own: a subject is compiled for the
 * shape that it works on, not for those that came before. Started by `codec.ts`.
 *
 * Rivals have no checksum; where ours has one they get a CRC-32 of their bytes, as a person would add.
 */
import { crc32 } from 'node:zlib';
import { encodeFrame } from '../src/codec/frame.ts';
import { type BodyReader, changingLayoutReader, kernelReader, typescriptReader } from './body-reader.ts';
import { answerRequest } from './child.ts';
import {
  bodyToModel,
  bodyToView,
  copying,
  frameChecksum,
  frameChecksumInTypescript,
  frameCrc,
  frameToView,
  imageToBody,
  imageToFrame,
  liveFrameToView,
  modelToBody,
  modelToFrame,
  toModel,
} from './codec-subjects.ts';
import { loadRivals } from './compare/rivals.ts';
import { LiveStreams } from './live-stream.ts';
import { makeMemoryCopy } from './memory-copy.ts';
import { RivalVersions } from './rival-subjects.ts';
import { destinationBytes, type Rival } from './rivals.ts';
import { makeVersions, SHAPES, type Shape, SMOKE_SHAPES } from './shapes.ts';
import { measureCase, type Result, type Subject } from './suite.ts';

const BODY_READERS: readonly BodyReader[] = [kernelReader, changingLayoutReader, typescriptReader];

/** Places that rivals write to in turn. */
const DESTINATIONS = 8;

export interface CodecRequest {
  readonly shape: string;
  readonly isSmoke: boolean;
}

/** The results of each case. */
async function run({ shape: name, isSmoke }: CodecRequest): Promise<Result[][]> {
  const shape = (isSmoke ? SMOKE_SHAPES : SHAPES).find((each) => each.name === name);
  if (shape === undefined) throw new Error(`no shape is named '${name}'`);
  const results: Result[][] = [];
  for (const [action, subjects] of casesOf(shape, await loadRivals()))
    results.push(measureCase({ suite: 'codec', case: `${action}/${name}` }, subjects, { isSmoke }));
  return results;
}

function* casesOf(
  shape: Shape,
  candidates: readonly Rival[],
): Generator<readonly [name: string, subjects: readonly Subject[]]> {
  const states = makeVersions(shape);
  const models = states.map(toModel);
  const slots = new LiveStreams(states, 'slot');
  const copy = makeMemoryCopy(slots.memory);
  const destinations = Array.from({ length: DESTINATIONS }, () =>
    Buffer.alloc(destinationBytes(slots.bodyBytes)),
  );
  const rivals = candidates.map((rival) => new RivalVersions(rival, states, destinations));
  yield [
    'encode-body',
    [
      imageToBody(slots),
      modelToBody(models, states),
      ...rivals.map((rival) => rival.encoding()),
      copying(slots, copy, slots.bodyBytes),
    ],
  ];
  yield [
    'encode',
    [
      imageToFrame(slots),
      modelToFrame(models, states),
      ...rivals.map((rival) => rival.encoding(crc32)),
      copying(slots, copy, slots.frameBytes),
    ],
  ];
  yield [
    'gather',
    [imageToFrame(new LiveStreams(states, 'heap')), ...rivals.map((rival) => rival.encoding(crc32))],
  ];
  // From here on nothing else is written to the destinations, of which there are as many as versions.
  const liveFrames = states.map((_, turn) => slots.frameAt(turn));
  const frames = models.map((model) => encodeFrame(model));
  yield [
    'view-body',
    [
      ...BODY_READERS.map((reader) => bodyToView(reader, slots, states, shape)),
      ...rivals.map((rival) => rival.reading(shape)),
    ],
  ];
  yield [
    'view',
    [
      liveFrameToView(slots, liveFrames, shape),
      frameToView(frames, states, shape),
      ...rivals.map((rival) => rival.reading(shape, crc32)),
    ],
  ];
  yield ['decode', [bodyToModel(models, states), ...rivals.map((rival) => rival.decoding())]];
  yield ['checksum', [frameChecksum(slots, liveFrames), frameChecksumInTypescript(frames), frameCrc(frames)]];
}

answerRequest(run);
