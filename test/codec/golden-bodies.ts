/** Bodies with what the reader of the seed format makes of them. */
import { readFileSync } from 'node:fs';

/** What the reader of the seed format makes of some bytes: a state, or an error. */
export interface Vector {
  readonly name: string;
  readonly bytes: string;
  readonly error?: string;
  readonly sequence?: string;
  readonly watermarkNs?: string;
  readonly eventCount?: string;
  readonly operatorStates?: [name: string, hex: string][];
  readonly sourceOffsets?: [name: string, decimal: string][];
}

export const vectors: readonly Vector[] = readFileSync(
  new URL('../golden/seed-format.jsonl', import.meta.url),
  'utf8',
)
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Vector);

export function unhex(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'));
}
