/** Just enough of a TypeScript scanner to tell code from comments and strings, and to find imports. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Import {
  readonly specifier: string;
  /** Leaves no trace at run time. */
  readonly isTypeOnly: boolean;
}

export interface SourceFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments. */
  readonly code: string;
  /** The text without comments and without the contents of strings. */
  readonly bare: string;
  readonly imports: readonly Import[];
}

export function readSources(...folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /(?<!\.d)\.ts$/.test(entry.name))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).split(sep).join('/'))
      // AssemblyScript looks like TypeScript but is a language of its own.
      .filter((path) => !path.startsWith('src/kernel/assembly/'))
      .sort()
      .map((path) => parseSource(path, readFileSync(join(ROOT, path), 'utf8'))),
  );
}

export function parseSource(path: string, text: string): SourceFile {
  const code = blank(text, { comments: true, strings: false });
  const bare = blank(text, { comments: true, strings: true });
  return { path, text, code, bare, imports: findImports(code, bare) };
}

/** The file that a relative import means, relative to the root; undefined for a package. */
export function targetOf(file: SourceFile, { specifier }: Import): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return posix.normalize(posix.join(dirname(file.path), specifier));
}

const STATIC = /(?<=^|[;}\n])\s*(import|export)\s+(type\s+)?([^;'"`]*?)\bfrom\s*['"]([^'"]+)['"]/g;
const SIDE_EFFECT = /(?<=^|[;}\n])\s*import\s*['"]([^'"]+)['"]/g;
const DYNAMIC = /\bimport\(\s*['"`]([^'"`]+)['"`]/g;
const URL_LITERAL = /\bnew URL\(\s*['"`](\.[^'"`]+)['"`]/g;

function findImports(code: string, bare: string): Import[] {
  const found: Import[] = [];
  for (const [, , type, names, specifier] of code.matchAll(STATIC)) {
    found.push({ specifier: specifier!, isTypeOnly: type !== undefined || isAllTypes(names!) });
  }
  for (const [, specifier] of code.matchAll(SIDE_EFFECT))
    found.push({ specifier: specifier!, isTypeOnly: false });
  for (const match of code.matchAll(DYNAMIC)) {
    if (isInString(bare, match)) continue;
    found.push({ specifier: match[1]!, isTypeOnly: false });
  }
  for (const match of code.matchAll(URL_LITERAL)) {
    // The extension is chosen at run time, and it is not always code that is named.
    const named = match[1]!.replace(/\$\{EXTENSION\}/, 'ts');
    if (!isInString(bare, match) && named.endsWith('.ts')) found.push({ specifier: named, isTypeOnly: true });
  }
  return found;
}

/** Both texts have the same length, and strings are blank in one of them. */
function isInString(bare: string, match: RegExpExecArray): boolean {
  return bare[match.index] === ' ';
}

/** `import { type A, type B } from` leaves an import without names, but nobody writes that for its effects. */
function isAllTypes(names: string): boolean {
  const list = /^\{([^}]*)\}\s*$/.exec(names.trim())?.[1];
  if (list === undefined) return false;
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .every((name) => name.startsWith('type '));
}

/** Replaces what is not wanted by spaces, so that lines stay where they are. */
function blank(text: string, what: { readonly comments: boolean; readonly strings: boolean }): string {
  let out = '';
  let at = 0;
  const copy = (end: number, isBlank: boolean): void => {
    const part = text.slice(at, end);
    out += isBlank ? part.replaceAll(/[^\n]/g, ' ') : part;
    at = end;
  };
  while (at < text.length) {
    const rest = text.slice(at, at + 2);
    const char = text[at]!;
    if (rest === '//') copy(endOf(text, '\n', at), what.comments);
    else if (rest === '/*') copy(endOf(text, '*/', at + 2) + 2, what.comments);
    else if (char === "'" || char === '"' || char === '`') copy(endOfString(text, at), what.strings);
    else if (char === '/' && /(?:^|[=(,:[!&|?{};\n]|\breturn)\s*$/.test(out))
      copy(endOfString(text, at), what.strings);
    else copy(at + 1, false);
  }
  return out;
}

function endOf(text: string, end: string, from: number): number {
  const found = text.indexOf(end, from);
  return found === -1 ? text.length : found;
}

/** A template with nested templates ends too early, which shows as an odd file and not as a missed rule. */
function endOfString(text: string, start: number): number {
  const quote = text[start]!;
  let inClass = false;
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at]!;
    if (char === '\\') at += 1;
    else if (quote === '/' && char === '[') inClass = true;
    else if (quote === '/' && char === ']') inClass = false;
    else if (char === quote && !inClass) return at + 1;
    else if (char === '\n' && quote !== '`') return at;
  }
  return text.length;
}
