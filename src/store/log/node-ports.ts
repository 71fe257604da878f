/** The ports of a log on a real machine. */
import { randomBytes } from 'node:crypto';
import { systemClock } from '../../clock.ts';
import { nodeFileSystem } from '../node-file-system.ts';
import { DIRECTORY_ID_BYTES } from './layout.ts';
import { lockDirectory } from './lock.ts';
import type { LogPorts } from './options.ts';

export const nodePorts: LogPorts = {
  fileSystem: nodeFileSystem,
  clock: systemClock,
  lockDirectory,
  newDirectoryId: () => new Uint8Array(randomBytes(DIRECTORY_ID_BYTES)),
};
