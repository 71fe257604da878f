/**
 * The packages of `compare/package.json`: loaded from beside this file when they are installed, so that
 * the root package depends on none of them.
 */
import { existsSync, readFileSync } from 'node:fs';

export const INSTALL_COMMAND = 'npm run bench:rivals';

const manifest = read(new URL('./package.json', import.meta.url));

/** What the suites compare with. */
const RIVAL_PACKAGES: readonly string[] = Object.keys(manifest.dependencies ?? {});

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

export function isInstalled(name: string): boolean {
  return existsSync(manifestOf(name));
}

export function missingRivals(): string[] {
  return RIVAL_PACKAGES.filter((name) => !isInstalled(name));
}

/** Of the rivals that are installed. */
export function rivalVersions(): Record<string, string> {
  const versions: Record<string, string> = {};
  for (const name of RIVAL_PACKAGES) {
    if (isInstalled(name)) versions[name] = read(manifestOf(name)).version ?? '?';
  }
  return versions;
}

/** What the package exports; the caller declares as much of it as it uses. */
export async function load<Exports>(name: string): Promise<Exports> {
  const exports: unknown = await import(name);
  return exports as Exports;
}

function manifestOf(name: string): URL {
  return new URL(`./node_modules/${name}/package.json`, import.meta.url);
}

function read(file: URL): Manifest {
  return JSON.parse(readFileSync(file, 'utf8')) as Manifest;
}
