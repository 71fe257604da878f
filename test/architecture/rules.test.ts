/** Rules about what a file may contain, and what the documents promise about the code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SUPPORTED_NODE } from '../../src/cli/node-version.ts';
import { REMEDIES } from '../../src/cli/remedy.ts';
import { parseSource, ROOT, readSources, type SourceFile } from '../support/source-code.ts';

const sources = readSources('src', 'workers');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

describe('where things may be done', () => {
  test('Atomics are used in src/memory only', () => {
    expect(filesWith(/\bAtomics\b/, (path) => path.startsWith('src/memory/'))).toEqual([]);
  });

  test('time and randomness come in through ports', () => {
    const ambient =
      /\b(Date\.now|performance\.now|Math\.random|random(UUID|Bytes|Fill|Int)|getRandomValues|new Date\(\))/;
    // An identity that is made without a time is made now: the model's contract, and no decision hangs on it.
    const allowed = /^src\/(clock\.ts|checkpoint\/id\.ts|store\/log\/node-ports\.ts|cli\/.*)$/;
    expect(filesWith(ambient, (path) => allowed.test(path))).toEqual([]);
  });

  test('only the command ends the process or writes to its streams', () => {
    const pattern = /\bprocess\.(exit|stdout|stderr|kill)\b/;
    expect(filesWith(pattern, (path) => path.startsWith('src/cli/'))).toEqual([]);
  });

  test('comments and strings are not taken for code', () => {
    const { bare, code } = parseSource(
      'a.ts',
      "const a = 'Atomics'; // Date.now\nconst b = /['\"]/; /* Atomics */ c();",
    );
    expect(bare).not.toMatch(/Atomics|Date/);
    expect(bare).toContain('c();');
    expect(code).toContain("'Atomics'");
  });
});

describe('size', () => {
  test('worker files have fewer than 100 lines', () => {
    const long = sources.filter((file) => file.path.startsWith('workers/') && lines(file) >= 100);
    expect(long.map((file) => file.path)).toEqual([]);
  });

  test('a file over 400 lines says why', () => {
    const long = sources.filter((file) => lines(file) > 400 && !/over 400 lines because/i.test(file.text));
    expect(long.map((file) => `${file.path}: ${lines(file)}`)).toEqual([]);
  });

  test('every file opens with what it is for', () => {
    const silent = sources.filter((file) => !/^(#!.*\n)?\/(\*\*|\/)/.test(file.text));
    expect(silent.map((file) => file.path)).toEqual([]);
  });
});

describe('errors', () => {
  const codes = Object.keys(REMEDIES);

  test.each(codes)('%s is thrown somewhere', (code) => {
    const users = sources.filter((file) => file.code.includes(code));
    const known = new Set(['src/error.ts', 'src/cli/remedy.ts', 'src/cli/output.ts']);
    expect(users.filter((file) => !known.has(file.path))).not.toEqual([]);
  });

  test.each(codes)('README says what to do about %s', (code) => {
    expect(readme).toContain(`| \`${code}\` | ${REMEDIES[code as keyof typeof REMEDIES]} |`);
  });
});

describe('documents', () => {
  test('the versions of Node.js agree in the manifest, the command and README', () => {
    const manifest: { engines: { node: string } } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    );
    expect(SUPPORTED_NODE).toBe(manifest.engines.node);
    expect(readme).toContain(manifest.engines.node);
  });

  test('the lock file has the optional packages of every platform', () => {
    // npm leaves out what its registry does not have, and `npm ci` then refuses the lock file everywhere.
    const lock: { packages: Record<string, { optionalDependencies?: Record<string, string> }> } = JSON.parse(
      readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
    );
    const wanted = Object.values(lock.packages).flatMap((entry) =>
      Object.keys(entry.optionalDependencies ?? {}),
    );
    expect(wanted.filter((name) => lock.packages[`node_modules/${name}`] === undefined)).toEqual([]);
  });

  test('every file that README and ARCHITECTURE link to exists', () => {
    const architecture = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
    const missing = linksIn(`${readme}\n${architecture}`).filter((path) => {
      try {
        readFileSync(join(ROOT, path));
        return false;
      } catch {
        return true;
      }
    });
    expect(missing).toEqual([]);
  });

  test.each([
    ['src/engine/options.ts', 'EngineOptions', (name: string) => `| \`${name}`],
    ['src/engine/metrics.ts', 'EngineEvents', (name: string) => `| \`${name}\` |`],
    ['src/store/contract.ts', 'CheckpointStore', (name: string) => `\`${name}`],
    ['src/store/contract.ts', 'StoreContents', (name: string) => name],
    ['src/store/contract.ts', 'RestorableCheckpoint', (name: string) => name],
  ])('README has all of %s: %s', (path, name, shown) => {
    const { code } = sources.find((file) => file.path === path)!;
    const members = code.split(`interface ${name} {`)[1]!.split('\n}')[0]!;
    const names = [...members.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, member]) => member!);
    expect(names.length).toBeGreaterThan(3);
    expect(names.filter((member) => !readme.includes(shown(member)))).toEqual([]);
  });

  test('every document that README links to is in the package', () => {
    const { files }: { files: string[] } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    const documents = linksIn(readme).filter((path) => path.endsWith('.md'));
    expect(documents.filter((path) => !files.includes(path))).toEqual([]);
  });
});

/** Paths that a document links to, but for other sites and its own headings. */
function linksIn(document: string): string[] {
  return [...document.matchAll(/\]\((?!http|#)([^)#]+)\)/g)].map(([, path]) => path!);
}

function filesWith(pattern: RegExp, isAllowed: (path: string) => boolean): string[] {
  return sources.filter((file) => pattern.test(file.bare) && !isAllowed(file.path)).map((file) => file.path);
}

function lines(file: SourceFile): number {
  return file.text.split('\n').length - 1;
}
