/**
 * The limit of saving: the same bytes written to a file whose blocks are there already, one write and one sync
 * for each commit, from the start again at its end. No format, no index, nothing to find again.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { writeFully } from '../../src/store/file-system.ts';
import { nodeFileSystem } from '../../src/store/node-file-system.ts';
import type { SavedFrame, StoreSubjectModule } from './subject.ts';

/** The file is as large as what others keep, up to this. */
const FILE_BYTES_MAX = 2 ** 26;
const COMMITS_LEAST = 8;
const ZEROS = new Uint8Array(2 ** 20);

export const preallocatedWrite: StoreSubjectModule = {
  isShared: true,
  open({ plan, directory }) {
    const { streams, perStream, framesPerCommit, frameBytes } = plan;
    const keptBytes = streams * perStream * frameBytes;
    const fileBytes = Math.max(
      COMMITS_LEAST * framesPerCommit * frameBytes,
      Math.min(FILE_BYTES_MAX, keptBytes),
    );
    const file = fs.openSync(join(directory, 'preallocated'), 'wx+');
    for (let at = 0; at < fileBytes; at += ZEROS.length) fs.writeSync(file, ZEROS, 0, ZEROS.length, at);
    fs.fsyncSync(file);
    let end = 0;
    let last: readonly SavedFrame[] = [];
    return Promise.resolve({
      commit(frames) {
        const bytes = frames.length * frameBytes;
        const start = end + bytes > fileBytes ? 0 : end;
        writeFully(
          nodeFileSystem,
          file,
          frames.map((frame) => frame.bytes),
          start,
        );
        fs.fdatasyncSync(file);
        end = start + bytes;
        last = frames;
      },
      close() {
        let position = end - last.length * frameBytes;
        for (const { bytes } of last) {
          const found = new Uint8Array(bytes.length);
          fs.readSync(file, found, 0, found.length, position);
          if (Buffer.compare(found, bytes) !== 0) throw new Error('the last commit is not in the file');
          position += bytes.length;
        }
        fs.closeSync(file);
        return Promise.resolve();
      },
    });
  },
};
