/** What the workers of `diy-piscina` run. */
import { serialize } from 'node:v8';
import { workerData } from 'node:worker_threads';
import { DiyStreams, LmdbLog } from './diy.ts';
import type { LoadEvent, LoadKind } from './load.ts';
import type { Totals } from './subject.ts';

export interface PiscinaSettings {
  readonly kind: LoadKind;
  readonly everyEvents: number;
  readonly directory: string;
}

export type PiscinaTask =
  | { readonly kind: 'open' | 'finish' | 'totals' | 'close' }
  | { readonly kind: 'batch'; readonly number: number; readonly events: readonly LoadEvent[] };

const settings = workerData as PiscinaSettings;
const log = await LmdbLog.open(settings.directory);
const streams = new DiyStreams(settings, (name, checkpoint) => log.put(name, serialize(checkpoint)));
let batches = 0;

export default function runTask(task: PiscinaTask): Totals | Promise<Totals> {
  switch (task.kind) {
    case 'batch':
      if (task.number !== batches++) throw new Error('a batch came out of turn');
      streams.apply(task.events);
      return log.isFull ? log.drain().then(totals) : totals();
    case 'finish':
      streams.checkpointAll();
      return log.flush().then(totals);
    case 'close':
      return log.close().then(totals);
    case 'open':
    case 'totals':
      return totals();
  }
}

function totals(): Totals {
  return { events: streams.events, checkpoints: streams.checkpoints };
}
