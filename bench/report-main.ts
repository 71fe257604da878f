/** `npm run bench:report`: writes BENCHMARKS.md from the results of the last runs. */
import { readFile, writeFile } from 'node:fs/promises';
import { benchmarksOf } from './markdown.ts';
import { RESULTS, readRecords } from './record.ts';

const method = await readFile(new URL('./METHOD.md', import.meta.url), 'utf8');
const records = await readRecords(RESULTS);
await writeFile(new URL('../BENCHMARKS.md', import.meta.url), benchmarksOf(method, records));
process.stdout.write(`BENCHMARKS.md: ${records.map(({ suite }) => suite).join(', ') || 'no results'}\n`);
