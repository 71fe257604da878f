/** Who waits for a stream that is to be forgotten, while its shard goes on with it. */
import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { Durability } from '../../src/engine/durability.ts';
import { Forgets } from '../../src/engine/forgets.ts';
import type { Quarantine } from '../../src/engine/quarantine.ts';
import { RoutedStream } from '../../src/engine/router.ts';
import { StreamReports } from '../../src/engine/stream-reports.ts';
import { CentralStore } from '../../src/store/central-store.ts';
import { StoredFrame } from '../../src/store/stored-frame.ts';

test('events in a frame that was given up are settled by the forgetting, not by a later word that frames cover them', async () => {
  const central = new CentralStore({ shards: 1, perStream: 1, isDurable: true, release: () => undefined });
  const durability = new Durability();
  const reports = new StreamReports({
    engine: new EventEmitter(),
    central,
    durability,
    forgets: new Forgets(),
    quarantine: { onForgotten: () => undefined } as unknown as Quarantine,
    hasStore: true,
  });
  const stream = new RoutedStream('a', 0, 0);
  const awaited = durability.untilSettled(stream, 2);
  const all = durability.untilThrough(1);
  reports.onStored(
    new StoredFrame(stream, { sequence: 1n, address: 8, bytes: 1, seen: 1, lows: [] }),
    stream,
  );
  central.giveUp(stream);
  reports.onCovered(stream, 2);
  expect(stream.settled).toBe(0);
  expect(central.settledThrough).toBe(0);
  reports.onForgotten(stream, []);
  const streams = central.takeForgotten(1);
  expect(stream.settled).toBe(0);
  central.settleForgotten(streams);
  reports.onForgottenInStore(streams);
  await Promise.all([awaited, all]);
});
