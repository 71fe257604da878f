/** How rivals name a checkpoint: so that those of a stream follow each other, ascending by sequence. */

export function keyOf(stream: string, sequence: bigint): string {
  return `${stream}/${String(sequence).padStart(12, '0')}`;
}

/** Keys of a stream are at least `start` and less than `end`. */
export function keyRange(stream: string): { readonly start: string; readonly end: string } {
  return { start: `${stream}/`, end: `${stream}0` };
}

export function streamOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

export function sequenceOf(key: string): bigint {
  return BigInt(key.slice(key.indexOf('/') + 1));
}

/** Of ascending `keys`, the last of each stream. */
export function newestKeys(keys: Iterable<string>): string[] {
  const newest: string[] = [];
  let previous: string | undefined;
  for (const key of keys) {
    if (previous !== undefined && streamOf(previous) !== streamOf(key)) newest.push(previous);
    previous = key;
  }
  if (previous !== undefined) newest.push(previous);
  return newest;
}
