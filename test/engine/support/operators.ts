/** Operator modules by name. Literal URLs, so that tools see which files are used. */
export const OPERATORS = {
  tally: new URL('../operators/tally.ts', import.meta.url),
  tallyNext: new URL('../operators/tally-next.ts', import.meta.url),
  tallyNextWithoutMigrate: new URL('../operators/tally-next-without-migrate.ts', import.meta.url),
  tallyAlone: new URL('../operators/tally-alone.ts', import.meta.url),
  faulty: new URL('../operators/faulty.ts', import.meta.url),
  gated: new URL('../operators/gated.ts', import.meta.url),
  slow: new URL('../operators/slow.ts', import.meta.url),
  sized: new URL('../operators/sized.ts', import.meta.url),
  exits: new URL('../operators/exits.ts', import.meta.url),
  neverLoads: new URL('../operators/never-loads.ts', import.meta.url),
  noDefault: new URL('../operators/no-default.ts', import.meta.url),
  counted: new URL('../operators/counted.ts', import.meta.url),
} as const;
