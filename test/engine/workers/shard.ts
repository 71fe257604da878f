/** The shards of an engine whose store writer is the one of this folder. */
export { default } from '../../../workers/shard.ts';
