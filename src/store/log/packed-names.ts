/** Many names as bytes, one behind the other: to clone them and to decode them costs little a name. */
import { isAscii } from 'node:buffer';

export interface PackedNames {
  /** UTF-8. */
  readonly bytes: Uint8Array;
  /** Of each name in bytes. */
  readonly lengths: Uint32Array;
}

/** The names as strings, one after the other. */
export class NameReader {
  private readonly lengths: Uint32Array;
  private readonly buffer: Buffer;
  /** All names as one, where characters are bytes. */
  private readonly text: string | undefined;
  private at = 0;
  private i = 0;

  constructor({ bytes, lengths }: PackedNames) {
    this.lengths = lengths;
    this.buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.text = isAscii(bytes) ? this.buffer.toString('latin1') : undefined;
  }

  /** There are as many as there are lengths. */
  next(): string {
    const start = this.at;
    this.at += this.lengths[this.i] as number;
    this.i += 1;
    return this.text?.slice(start, this.at) ?? this.buffer.toString('utf8', start, this.at);
  }
}

export function namesOf(names: PackedNames): string[] {
  const reader = new NameReader(names);
  return Array.from(names.lengths, () => reader.next());
}
