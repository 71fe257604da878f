/** When another thread takes over: by latches, without threads. */
import { describe, expect, test } from 'vitest';
import type { CompletionReader } from '../../src/engine/completion-reader.ts';
import type { Router } from '../../src/engine/router.ts';
import { ShardHandle, type ThreadEnd } from '../../src/engine/shard-handle.ts';
import { Supervisor, type SupervisorPorts } from '../../src/engine/supervisor.ts';
import { TidemarkError } from '../../src/error.ts';
import { EngineMemory } from '../../src/memory/engine-memory.ts';
import { RECORD } from '../../src/memory/ingest-ring.ts';
import type { CentralStore } from '../../src/store/central-store.ts';
import { arenaOf } from '../support/shard-harness.ts';

const DIED: ThreadEnd = { error: new TidemarkError('ERR_TIDEMARK_SHARD_EXITED', 'it died'), isTold: false };

/** A shard whose threads a test ends; `log` is what happens to it. */
class Bench {
  readonly log: string[] = [];
  readonly errors: unknown[] = [];
  readonly supervisor: Supervisor;
  readonly shard: ShardHandle;
  isAlive = true;
  /** The thread is gone. */
  gone: () => void = () => undefined;

  constructor(onPoison: SupervisorPorts['onPoison'] = 'fail') {
    const memory = EngineMemory.reserve(2 ** 20);
    this.shard = new ShardHandle(memory, arenaOf(2 ** 20, 2 ** 12), 0);
    this.shard.endThread = () => {
      this.log.push('end');
      return new Promise((resolve) => {
        this.gone = resolve;
      });
    };
    this.shard.start = () => void this.log.push('start');
    const ports: SupervisorPorts = {
      memory,
      router: { streamsOn: () => [], sources: () => [] } as unknown as Router,
      central: { leaving: () => [] } as unknown as CentralStore,
      store: undefined,
      parts: {} as SupervisorPorts['parts'],
      completions: {
        drain: () => {
          this.log.push('drain');
          return 0;
        },
        takeOver: () => undefined,
      } as unknown as CompletionReader,
      attemptsMax: 3,
      onPoison,
      isAlive: () => this.isAlive,
      onRestart: () => void this.log.push('restart'),
      onError: (error) => void this.errors.push(error),
    };
    this.supervisor = new Supervisor(ports);
  }

  /** A thread dies at the event at `position`, and is gone. */
  async dieAt(position: number): Promise<void> {
    Object.defineProperty(this.shard, 'currentPosition', { configurable: true, value: position });
    Object.defineProperty(this.shard, 'readPosition', { configurable: true, value: position });
    this.shard.recordAt = () => ({ kind: RECORD.event }) as ReturnType<ShardHandle['recordAt']>;
    this.supervisor.onEnd(this.shard, DIED);
    this.gone();
    await this.settle();
  }

  /** Lets what waits for settled promises happen. */
  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a thread that has died', () => {
  test('is read, and followed, only when it is gone', async () => {
    const bench = new Bench();
    bench.supervisor.onEnd(bench.shard, DIED);
    await bench.settle();
    expect(bench.log).toEqual(['end']);
    bench.gone();
    await bench.settle();
    expect(bench.log).toEqual(['end', 'drain', 'start']);
    bench.supervisor.onReady(bench.shard);
    expect(bench.log.at(-1)).toBe('restart');
    expect(bench.errors).toEqual([]);
  });

  test('is not followed when the engine has ended meanwhile', async () => {
    const bench = new Bench();
    bench.supervisor.onEnd(bench.shard, DIED);
    bench.isAlive = false;
    bench.gone();
    await bench.settle();
    expect(bench.log).toEqual(['end', 'drain']);
  });

  test('fails the engine when it did so at the same place as often as it may', async () => {
    const bench = new Bench();
    for (let death = 1; death <= 3; death++) {
      bench.supervisor.onEnd(bench.shard, DIED);
      bench.gone();
      await bench.settle();
    }
    expect(bench.log.filter((entry) => entry === 'start')).toHaveLength(2);
    expect(bench.errors).toEqual([DIED.error]);
  });

  test('is followed by one that gives its event up, which may die as often as those that tried it', async () => {
    const bench = new Bench('skip');
    for (let death = 1; death <= 3; death++) await bench.dieAt(64);
    expect([...bench.shard.faults.keys()]).toEqual([64]);
    for (let death = 1; death <= 2; death++) await bench.dieAt(64);
    expect(bench.errors).toEqual([]);
    expect(bench.shard.faults.get(64)).toMatchObject({ attempts: 3 });
    await bench.dieAt(64);
    expect(bench.errors).toEqual([DIED.error]);
    expect(bench.log.filter((entry) => entry === 'start')).toHaveLength(5);
  });

  test('fails the engine at once when the shard has told why', () => {
    const bench = new Bench();
    bench.supervisor.onEnd(bench.shard, { ...DIED, isTold: true });
    expect(bench.errors).toEqual([DIED.error]);
    expect(bench.log).toEqual([]);
  });
});
