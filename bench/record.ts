/** What a run of a suite leaves behind: its results, and what they were measured on. Nothing names the host. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { version as piscina } from 'piscina';
import { rivalVersions } from './compare/packages.ts';
import type { Result } from './suite.ts';

export interface SuiteRecord {
  readonly suite: string;
  /** Day of the run. */
  readonly date: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGiB: number;
    readonly platform: string;
  };
  readonly node: string;
  /** Of what took part. */
  readonly packages: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
}

export const RESULTS = new URL('./results/', import.meta.url);

export function recordOf(suite: string, results: readonly Result[]): SuiteRecord {
  return {
    suite,
    date: new Date().toISOString().slice(0, 10),
    machine: {
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      platform: `${platform()} ${arch()}`,
    },
    node: process.version,
    packages: {
      ...rivalVersions(),
      piscina,
      sqlite: process.versions['sqlite'] ?? '?',
      v8: process.versions.v8,
    },
    results,
  };
}

export async function writeRecord(folder: URL, record: SuiteRecord): Promise<void> {
  const { results, ...facts } = record;
  // A result a line, so that two runs can be told apart line by line.
  const lines = results.map((result) => `    ${JSON.stringify(result)}`).join(',\n');
  const head = JSON.stringify(facts, null, 2).slice(0, -'\n}'.length);
  await mkdir(folder, { recursive: true });
  await writeFile(new URL(`${record.suite}.json`, folder), `${head},\n  "results": [\n${lines}\n  ]\n}\n`);
}

/** The records in `folder`, ascending by suite; none if there is no such folder. */
export async function readRecords(folder: URL): Promise<SuiteRecord[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const records = names.filter((name) => name.endsWith('.json')).sort();
  return Promise.all(
    records.map(async (name) => JSON.parse(await readFile(new URL(name, folder), 'utf8')) as SuiteRecord),
  );
}
