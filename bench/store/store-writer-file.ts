/** The entry of the store writer's thread: compiled, as the package ships it, since sources have their types stripped first. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { workerFile } from '../../src/engine/worker-files.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The compiled file if it is newer than all sources, otherwise the source. */
export function storeWriterFile(): string {
  const built = join(ROOT, 'dist/workers/store-writer.js');
  return existsSync(built) && isNewerThanSources(built) ? built : workerFile('store-writer', undefined);
}

function isNewerThanSources(file: string): boolean {
  const { mtimeMs } = statSync(file);
  return ['src', 'workers'].every((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }).every(
      (entry) => !entry.isFile() || statSync(join(entry.parentPath, entry.name)).mtimeMs <= mtimeMs,
    ),
  );
}
