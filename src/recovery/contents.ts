/** What a store says it holds, checked: a store may be the user's own, in plain JavaScript. */
import { TidemarkError } from '../error.ts';
import type { StoreContents } from '../store/contract.ts';

/** @throws ERR_TIDEMARK_STORE_FAILED naming what is not as the contract says */
export function checkContents(contents: StoreContents): StoreContents {
  if (contents === null || typeof contents !== 'object') throw wrong('returned no object');
  const { generation, frontiers, checkpoints, lost } = contents as Partial<StoreContents>;
  if (typeof generation !== 'bigint' || generation < 0n)
    throw wrong('returned a generation that is no bigint');
  if (!(frontiers instanceof Map)) throw wrong('returned frontiers that are no Map');
  for (const [source, offset] of frontiers) {
    if (typeof source !== 'string' || typeof offset !== 'bigint') {
      throw wrong(`returned a frontier that is no bigint for source ${JSON.stringify(source)}`);
    }
  }
  const iterable = checkpoints as Partial<Iterable<unknown> & AsyncIterable<unknown>> | undefined;
  if (iterable?.[Symbol.iterator] === undefined && iterable?.[Symbol.asyncIterator] === undefined) {
    throw wrong('returned checkpoints that cannot be iterated');
  }
  if (lost !== undefined && !Array.isArray(lost)) throw wrong('returned lost streams that are no array');
  return { ...contents, lost: lost ?? [] };
}

function wrong(what: string): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_STORE_FAILED', `open() of the store ${what}; see CheckpointStore`);
}
