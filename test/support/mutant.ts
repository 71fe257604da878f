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
