/**
 * `npm run mutants` shows that the tests of crashes can fail: each mutant of the log or the engine is made in a copy of the
 * tree, and the tests on the simulated disk, the simulation of deaths, or those of the store writer's, are run there. Ends
 * with 1 when one survives, or when its text is not in the sources.
 * `npm run mutants -- WORD` runs those with the word in their name.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WRITER_MUTANTS } from './engine/writer-mutants.ts';
import { ENGINE_MUTANTS } from './sim/engine-mutants.ts';
import { LOG_MUTANTS } from './store/log-mutants.ts';
import { type Edit, piecesAround } from './support/mutant.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const COPIED = ['src', 'test', 'workers', 'package.json', 'tsconfig.json', 'vitest.config.ts'];
/** A mutant may keep a test from ending. */
const TESTS_MS = 10 * 60_000;
/** Of the tests that kill a mutant. */
const SHOWN = 3;
/** Not the golden lists of operations: what fails is to be the promise, not the recording. */
const LOG_TESTS = ['crash-points', 'crash-model', 'stale-laps', 'torn-commit', 'removal'].map(
  (name) => `test/store/${name}.test.ts`,
);
const ENGINE_TESTS = [
  'test/sim/deaths.test.ts',
  'test/engine/supervisor.test.ts',
  'test/shard/shard-quarantine.test.ts',
];
const WRITER_TESTS = ['supervised-log', 'supervised-log-deaths'].map((name) => `test/engine/${name}.test.ts`);

const MUTANTS = [
  ...LOG_MUTANTS.map((mutant) => ({ ...mutant, tests: LOG_TESTS })),
  ...ENGINE_MUTANTS.map((mutant) => ({ ...mutant, tests: ENGINE_TESTS })),
  ...WRITER_MUTANTS.map((mutant) => ({ ...mutant, tests: WRITER_TESTS })),
];
const chosen = MUTANTS.filter(({ name }) => name.includes(process.argv[2] ?? ''));
if (chosen.length === 0) throw new Error(`no mutant has ${process.argv[2]} in its name`);
const tree = fs.mkdtempSync(join(os.tmpdir(), 'tidemark-mutants-'));
try {
  for (const path of COPIED) fs.cpSync(join(ROOT, path), join(tree, path), { recursive: true });
  fs.symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  // Tests that fail for the sources as they are would kill every mutant.
  if (failedTests([...new Set(chosen.flatMap(({ tests }) => tests))]).length > 0)
    throw new Error('the tests fail without a mutation');
  const survivors = chosen.filter(({ name, edits, tests }) => {
    const undo = edits.map(apply);
    const failed = failedTests(tests);
    for (const restore of undo.reverse()) restore();
    console.log(failed.length > 0 ? `killed by ${failed.length} tests: ${name}` : `SURVIVED: ${name}`);
    for (const test of failed.slice(0, SHOWN)) console.log(`    ${test}`);
    return failed.length === 0;
  });
  console.log(`${chosen.length - survivors.length} of ${chosen.length} mutants killed`);
  process.exitCode = survivors.length === 0 ? 0 : 1;
} finally {
  fs.rmSync(tree, { recursive: true, force: true });
}

/** Makes an edit; returns what takes it back. */
function apply(edit: Edit): () => void {
  const { file, text, with: replacement } = edit;
  const pieces = piecesAround(edit, tree);
  const count = pieces.length - 1;
  if (count !== 1) throw new Error(`${file} has ${count} times what is to be replaced: ${text}`);
  const path = join(tree, file);
  fs.writeFileSync(path, pieces.join(replacement));
  return () => fs.writeFileSync(path, pieces.join(text));
}

/** Names of tests that fail in the copy. */
function failedTests(files: readonly string[]): string[] {
  const report = join(tree, 'report.json');
  fs.rmSync(report, { force: true });
  const vitest = join(tree, 'node_modules/vitest/vitest.mjs');
  const argv = [vitest, 'run', '--root', tree, '--reporter=json', `--outputFile=${report}`, ...files];
  const { signal } = spawnSync(process.execPath, argv, { cwd: tree, stdio: 'ignore', timeout: TESTS_MS });
  if (signal !== null) return [`none: they had not ended after ${TESTS_MS / 60_000} minutes`];
  const { testResults } = JSON.parse(fs.readFileSync(report, 'utf8')) as {
    testResults: { assertionResults: { status: string; fullName: string }[]; status: string; name: string }[];
  };
  return testResults.flatMap(({ assertionResults, status, name }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed').map((test) => test.fullName);
    return failed.length === 0 && status === 'failed' ? [name] : failed;
  });
}
