/**
 * Mutations of the log, each of which takes away one thing that makes a crash survivable. A test on the simulated disk
 * must fail for each of them. Run by `npm run mutants`.
 *
 * Its sectors are written whole or not at all, so what guards against half a sector (two copies of each segment header,
 * written in turn) is not among them: golden-operations has the order of those writes.
 */

import type { Mutant } from '../support/mutant.ts';

const LOG = 'src/store/log';

export const LOG_MUTANTS: readonly Mutant[] = [
  {
    name: 'a commit is not synced',
    edits: [
      {
        file: `${LOG}/segments.ts`,
        text: '    fileSystem.datasync(head.handle);\n    this.appendAt = appendAt + bytes;',
        with: '    this.appendAt = appendAt + bytes;',
      },
    ],
  },
  {
    name: 'a COMMIT record does not cover the headers of its frames',
    edits: [
      {
        file: `${LOG}/scan.ts`,
        text: 'return xxh64(checksums) === record.framesChecksum;',
        with: 'return true;',
      },
    ],
  },
  {
    name: 'the checksum of a frame is not verified',
    edits: [
      {
        file: 'src/codec/footer.ts',
        text: "    throw damaged('its checksum is not that of its bytes');",
        with: '    // believed all the same',
      },
    ],
  },
  {
    name: 'the lap of a record is not looked at',
    edits: [
      {
        file: `${LOG}/record.ts`,
        text: '  if (lap !== undefined && recordLap !== lap) return undefined;\n',
        with: '',
      },
    ],
  },
  {
    name: 'neither the lap nor the commit number of a record is looked at',
    edits: [
      {
        file: `${LOG}/record.ts`,
        text: '  if (lap !== undefined && recordLap !== lap) return undefined;\n',
        with: '',
      },
      {
        file: `${LOG}/scan.ts`,
        text: '  return open ? header.commit < last.number : header.commit <= last.number;',
        with: '  return false;',
      },
    ],
  },
  {
    name: 'what a killed engine left is not made durable at the opening',
    edits: [{ file: `${LOG}/open-log.ts`, text: '  makeDurable(opening, recovered);\n', with: '' }],
  },
  {
    name: 'the names of a directory are not made durable at the opening',
    edits: [
      {
        file: `${LOG}/open-log.ts`,
        text: 'ports.fileSystem.datasync(newest.handle);\n  ports.fileSystem.syncDirectory(directory);',
        with: 'ports.fileSystem.datasync(newest.handle);',
      },
    ],
  },
  {
    name: 'a segment gets its name before its length is durable',
    edits: [{ file: `${LOG}/segment-maker.ts`, text: '      fileSystem.sync(handle);\n', with: '' }],
  },
  {
    name: 'the name of a segment is not made durable',
    edits: [
      {
        file: `${LOG}/segments.ts`,
        text: '    this.input.fileSystem.syncDirectory(this.input.directory);\n    return true;',
        with: '    return true;',
      },
    ],
  },
  {
    name: 'an INDEX record is not synced before a header says where it is',
    edits: [
      {
        file: `${LOG}/segments.ts`,
        text: '      writeFully(fileSystem, head.handle, [record], appendAt);\n      fileSystem.datasync(head.handle);',
        with: '      writeFully(fileSystem, head.handle, [record], appendAt);',
      },
    ],
  },
  {
    name: 'the superblock is not synced',
    edits: [{ file: `${LOG}/superblock-file.ts`, text: '    fileSystem.datasync(handle);\n', with: '' }],
  },
  {
    name: 'a commit frees segments that hold what only it replaces',
    edits: [
      {
        file: `${LOG}/log-writer.ts`,
        text: '      tailLap: this.neededTailLap,',
        with: '      tailLap: this.segments.live.at(-1)?.lap ?? 0,',
      },
    ],
  },
  {
    name: 'a removal does not reach what compaction gave up',
    edits: [
      {
        file: `${LOG}/log-store.ts`,
        text: '      this.compactor.hasGivenUp(stream, below) ||\n',
        with: '',
      },
    ],
  },
];
