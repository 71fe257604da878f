/** The codecs among the packages of `compare/`, as far as they are installed. */
import { NODE_RIVALS, type Rival } from '../rivals.ts';
import { avsc } from './avsc.ts';
import { bson } from './bson.ts';
import { cborX, msgpackr } from './msgpackr-cbor.ts';
import { isInstalled } from './packages.ts';
import { protobufjs } from './protobufjs.ts';

// Each takes back only what it made itself, so the form it holds a state in is its own affair.
const MAKERS: Readonly<Record<string, () => Promise<unknown>>> = {
  msgpackr,
  'cbor-x': cborX,
  protobufjs,
  avsc,
  bson,
};

export async function loadRivals(): Promise<Rival[]> {
  const rivals: Rival[] = [...NODE_RIVALS];
  for (const [name, make] of Object.entries(MAKERS)) {
    if (isInstalled(name)) rivals.push((await make()) as Rival);
  }
  return rivals;
}
