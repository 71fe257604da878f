/** Holds the folders to the directions of ARCHITECTURE.md. */
import { describe, expect, test } from 'vitest';
import { parseSource, readSources, type SourceFile, targetOf } from '../support/source-code.ts';

/** What the files of a folder may import besides their own folder. The more specific prefix counts. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'src/index.ts': ['src/'],
  'src/error.ts': [],
  'src/clock.ts': [],
  'src/linked-list.ts': [],
  'src/cli/': ['src/'],
  'src/engine/': [
    'src/store/',
    'src/recovery/',
    'src/shard/',
    'src/codec/',
    'src/kernel/',
    'src/memory/',
    'src/checkpoint/',
  ],
  'src/store/': ['src/codec/', 'src/kernel/', 'src/memory/', 'src/checkpoint/'],
  'src/recovery/': ['src/codec/', 'src/memory/', 'src/checkpoint/'],
  'src/shard/': ['src/codec/', 'src/kernel/', 'src/memory/', 'src/checkpoint/'],
  'src/codec/': ['src/checkpoint/'],
  'src/checkpoint/': ['src/codec/'],
  'src/memory/': ['src/kernel/', 'src/codec/'],
  'src/kernel/': [],
  // What authors of stores run: it knows the contract, never one of ours.
  'src/testing/': ['src/store/contract.ts', 'src/codec/', 'src/checkpoint/'],
  'workers/': ['src/shard/', 'src/store/log/', 'src/codec/', 'src/kernel/', 'src/memory/', 'src/checkpoint/'],
  'bench/': ['src/'],
};

/** Single files that reach further, each for a reason. */
const EXCEPTIONS: Readonly<Record<string, readonly string[]>> = {
  // The demo's reader and its operators agree on the form of a flight.
  'workers/flights-reader.ts': ['src/cli/demo/flight.ts'],
  // Recovery starts from what a store says it holds.
  'src/recovery/restore.ts': ['src/store/contract.ts'],
  'src/recovery/contents.ts': ['src/store/contract.ts'],
};

/** Files that all may import. */
const ROOTS = ['src/error.ts', 'src/clock.ts', 'src/linked-list.ts'];

/** Runs in a checkout, not where the package is installed, so it may need development dependencies. */
const DEVELOPMENT_ONLY = /^(bench\/.*|workers\/flights-reader\.ts|src\/kernel\/build-kernel\.ts)$/;

const sources = readSources('src', 'workers', 'bench');

describe('folders', () => {
  test('every file lies in a folder with a rule', () => {
    expect(sources.filter((file) => ruleOf(file.path) === undefined).map((file) => file.path)).toEqual([]);
  });

  test('imports point from the cli towards the codec, never back', () => {
    expect(sources.flatMap(forbiddenImports)).toEqual([]);
  });

  test('an import that points back is found', () => {
    const code = "import { open } from '../engine/engine.ts';\nimport type { A } from '../cli/job.ts';\n";
    expect(forbiddenImports(parseSource('src/shard/loop.ts', code))).toEqual([
      'src/shard/loop.ts imports src/engine/engine.ts',
      'src/shard/loop.ts imports src/cli/job.ts',
    ]);
    expect(
      forbiddenImports(parseSource('workers/shard.ts', "await import('../src/engine/engine.ts');")),
    ).toHaveLength(1);
  });

  test('relative imports name files that exist', () => {
    const paths = new Set(sources.map((file) => file.path));
    const missing = sources.flatMap((file) =>
      file.imports
        .map((imported) => targetOf(file, imported))
        // The kernel's build output is JavaScript, and the workers of the shards are chosen by a folder URL.
        .filter((target) => target?.endsWith('.ts') && !paths.has(target))
        .map((target) => `${file.path} imports ${target}`),
    );
    expect(missing).toEqual([]);
  });

  test('no file imports itself by way of others', () => {
    expect(findCycle(sources)).toEqual([]);
  });

  test('a cycle is found', () => {
    const a = parseSource('src/codec/a.ts', "import { b } from './b.ts';");
    const b = parseSource('src/codec/b.ts', "export { a } from './a.ts';");
    const typed = parseSource('src/codec/b.ts', "export type { A } from './a.ts';");
    expect(findCycle([a, b])).toEqual(['src/codec/a.ts', 'src/codec/b.ts', 'src/codec/a.ts']);
    expect(findCycle([a, typed])).toEqual([]);
  });
});

describe('packages and modules', () => {
  test.each([
    // One of the bench's rivals is what a service would build on Piscina by hand, and its record names the version.
    ['piscina', /^(src\/engine\/.*|bench\/engine\/diy-piscina\.ts|bench\/record\.ts)$/],
    ['hyparquet', /^workers\/flights-reader\.ts$/],
    ['hyparquet-compressors', /^workers\/flights-reader\.ts$/],
    ['assemblyscript/asc', /^src\/kernel\/build-kernel\.ts$/],
    // The directory's lock, and a rival of the bench.
    ['node:sqlite', /^(src\/store\/log\/lock|bench\/store\/sqlite)\.ts$/],
    // The log goes through a port, so that tests can let it fail, but a lock is a lock of the real system only.
    // The engine looks whether its worker files are there, the command line for jobs and manifests.
    [
      'node:fs',
      /^(src\/store\/(node-file-system|log\/lock)\.ts|src\/engine\/worker-files\.ts|src\/kernel\/build-kernel\.ts|src\/cli\/.*|bench\/.*)$/,
    ],
    [
      'node:fs/promises',
      /^(src\/store\/(node-file-system|log\/lock)\.ts|src\/engine\/worker-files\.ts|src\/kernel\/build-kernel\.ts|src\/cli\/.*|bench\/.*)$/,
    ],
    [
      'node:crypto',
      /^(src\/cli\/state-digest\.ts|src\/store\/log\/node-ports\.ts|src\/kernel\/build-kernel\.ts|bench\/.*)$/,
    ],
  ])('%s is imported where it belongs', (name, allowed) => {
    const importers = sources.filter((file) => file.imports.some(({ specifier }) => specifier === name));
    expect(importers.map((file) => file.path).filter((path) => !allowed.test(path))).toEqual([]);
  });

  test('the main thread has no code for the form of states, but to hand a copy to who asks for one', () => {
    const form = /^src\/(codec\/(body|extension|footer|frame|view)|memory\/frame-view)\.ts$/;
    const main = /^src\/(engine\/|recovery\/|store\/[^/]+$)/;
    const readers = sources.filter(
      (file) =>
        main.test(file.path) &&
        file.imports.some((imported) => !imported.isTypeOnly && form.test(targetOf(file, imported) ?? '')),
    );
    // `latest` decodes a copy of a checkpoint on behalf of its caller.
    expect(readers.map((file) => file.path)).toEqual(['src/engine/engine.ts']);
  });

  test('what tests of users import is imported by nothing that runs', () => {
    const importers = sources.filter((file) =>
      file.imports.some((imported) => targetOf(file, imported)?.startsWith('src/testing/')),
    );
    expect(importers.filter(({ path }) => !path.startsWith('src/testing/'))).toEqual([]);
  });

  test('nothing outside the package but Node.js and piscina is imported by what users install', () => {
    const packages = sources
      .filter((file) => !DEVELOPMENT_ONLY.test(file.path))
      .flatMap((file) => file.imports.filter(({ specifier }) => !/^(node:|\.)/.test(specifier)))
      .map(({ specifier }) => specifier);
    expect([...new Set(packages)].filter((name) => name !== 'piscina')).toEqual([]);
  });
});

function ruleOf(path: string): readonly string[] | undefined {
  return MAY_IMPORT[path] ?? MAY_IMPORT[folderOf(path)];
}

/** `src/store/` for `src/store/log/commit.ts`, `workers/` for a worker. */
function folderOf(path: string): string {
  const [top, folder] = path.split('/');
  return top === 'src' ? `${top}/${folder}/` : `${top}/`;
}

function forbiddenImports(file: SourceFile): string[] {
  const allowed = [
    ...ROOTS,
    folderOf(file.path),
    ...(ruleOf(file.path) ?? []),
    ...(EXCEPTIONS[file.path] ?? []),
  ];
  return (
    file.imports
      .map((imported) => targetOf(file, imported))
      .filter((target) => target !== undefined)
      // Starting a worker is not importing it: it shares nothing but messages and memory.
      .filter((target) => !target.startsWith('workers/'))
      .filter((target) => !allowed.some((prefix) => target.startsWith(prefix)))
      .map((target) => `${file.path} imports ${target}`)
  );
}

/** The first cycle of imports that exist at run time, as a list of files; empty: there is none. */
function findCycle(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    const file = byPath.get(path);
    if (file === undefined || finished.has(path)) return [];
    for (const imported of file.imports) {
      const target = imported.isTypeOnly ? undefined : targetOf(file, imported);
      const cycle = target === undefined ? [] : visit(target, [...trail, path]);
      if (cycle.length > 0) return cycle;
    }
    finished.add(path);
    return [];
  };
  for (const { path } of files) {
    const cycle = visit(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
