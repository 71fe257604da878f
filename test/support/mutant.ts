import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Something that is taken away from the sources, for a test to notice. */
export interface Edit {
  readonly file: string;
  /** Must be in the file, once. */
  readonly text: string;
  readonly with: string;
}

export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}

/** What stands around the text of an edit in the tree at `root`: two pieces, if it is there once. */
export function piecesAround({ file, text }: Edit, root: string): string[] {
  return readFileSync(join(root, file), 'utf8').split(text);
}
