import { describe, expect, test } from 'vitest';
import type { JobSource } from '../../src/cli/job.ts';
import { type RunPlan, runJob } from '../../src/cli/runner.ts';
import type { StopSignal } from '../../src/cli/stop.ts';
import { TidemarkError } from '../../src/error.ts';
import { FakeEngine } from '../support/fake-engine.ts';

const numbers: JobSource = {
  name: 'numbers',
  async *read(from) {
    for (let offset = Number(from ?? 0n); offset < 1_000; offset += 1) {
      yield { stream: `s${offset % 4}`, payload: 'x', offset };
    }
  },
};

const waiting: JobSource = {
  name: 'numbers',
  async *read() {
    yield { stream: 'a', payload: 'x', offset: 0 };
    await new Promise<never>(() => {});
  },
};

function start(plan: Partial<RunPlan>, engine: FakeEngine | Error = new FakeEngine()) {
  const listeners = new Map<StopSignal, (signal: StopSignal) => void>();
  const out = { stdout: '', stderr: '' };
  let ms = 0;
  const outcome = runJob(
    {
      title: 'a test',
      source: numbers,
      options: { operators: 'file:///o.js' },
      limit: undefined,
      crashAfter: undefined,
      end: undefined,
      unit: 'offsets',
      ...plan,
    },
    {
      terminal: {
        stdout: { write: (text) => (out.stdout += text) },
        stderr: { write: (text) => (out.stderr += text) },
      },
      open: async () => {
        if (engine instanceof Error) throw engine;
        return engine;
      },
      crash: () => {},
      on: (event, listener) => listeners.set(event, listener),
      off: (event) => listeners.delete(event),
      exit: () => {},
      now: () => (ms += 500),
    },
  );
  return { outcome, out, listeners };
}

describe('a run to the end', () => {
  test('is summed up after the final checkpoints', async () => {
    const engine = new FakeEngine();
    const { outcome, out, listeners } = start({}, engine);
    const { exitCode, summary } = await outcome;
    expect(exitCode).toBe(0);
    expect(summary).toMatchObject({
      events: 1_000,
      streams: 4,
      shards: 2,
      checkpoints: 40,
      durable: 30,
      resumed: false,
      resumedFrom: null,
      applied: 1_000,
      dropped: 3,
      replayed: 0,
      seconds: 0.5,
      eventsPerSecond: 2_000,
      checkpointsPerSecond: 80,
      checkpointBytesPerSecond: 8_000,
    });
    expect(summary?.stateDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(summary?.eventLoopDelayP99Ms).toBeGreaterThanOrEqual(0);
    expect(engine.calls).toEqual(['checkpoint', 'close']);
    expect(out.stdout).toBe('');
    expect(out.stderr).toBe('a test\nnothing to restore; reading numbers from the start\n');
    expect(listeners.size).toBe(0);
  });

  test('hands over the final states ascending by stream', async () => {
    const seen: string[] = [];
    await start({ onFinalState: ({ stream }) => seen.push(stream) }).outcome;
    expect(seen).toEqual(['s0', 's1', 's2', 's3']);
  });
});

describe('a resumed run', () => {
  test('says what it restored, where it reads on, and what it replayed', async () => {
    const { outcome, out } = start({}, new FakeEngine({ s0: 600n, s1: 900n }));
    const { summary } = await outcome;
    expect(summary).toMatchObject({ resumed: true, resumedFrom: '600', applied: 400, replayed: 300 });
    expect(out.stderr).toContain('restored 2 streams; reading numbers on from offset 600\n');
  });

  test('with nothing left to read says so', async () => {
    const { outcome, out } = start({}, new FakeEngine({ s0: 1_000n }));
    expect((await outcome).summary).toMatchObject({ applied: 0, resumed: true, eventsPerSecond: 0 });
    expect(out.stderr).toContain('nothing to do: everything below offset 1,000 is applied and durable\n');
  });
});

describe('a run that is stopped', () => {
  test('by a signal takes its final checkpoints and is summed up', async () => {
    const engine = new FakeEngine();
    const { outcome, listeners } = start({ source: waiting }, engine);
    await expect.poll(() => engine.applied).toBe(1);
    listeners.get('SIGTERM')!('SIGTERM');
    const { exitCode, summary } = await outcome;
    expect(exitCode).toBe(0);
    expect(summary?.events).toBe(1);
    expect(engine.calls).toEqual(['checkpoint', 'close']);
  });

  test('by a failed engine does not wait for its source', async () => {
    const engine = new FakeEngine();
    const { outcome, out } = start({ source: waiting }, engine);
    await expect.poll(() => engine.applied).toBe(1);
    engine.emit('error', new TidemarkError('ERR_TIDEMARK_OPERATOR', 'count threw'));
    expect(await outcome).toEqual({ exitCode: 1 });
    expect(out.stderr).toContain('tidemark: ERR_TIDEMARK_OPERATOR: count threw; ');
  });
});

describe('a run that fails', () => {
  test('while opening has the exit code of its error', async () => {
    const locked = new TidemarkError('ERR_TIDEMARK_DIRECTORY_LOCKED', 'in use');
    expect(await start({}, locked).outcome).toEqual({ exitCode: 1 });
    const foreign = new TidemarkError('ERR_TIDEMARK_NOT_A_STORE', 'not ours');
    expect(await start({}, foreign).outcome).toEqual({ exitCode: 2 });
  });

  test('while running has exit code 1 even if an argument was at fault', async () => {
    const engine = new FakeEngine();
    engine.pushFailure = new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', 'stream must be a string');
    const { outcome, out } = start({}, engine);
    expect(await outcome).toEqual({ exitCode: 1 });
    expect(out.stderr).toContain('tidemark: ERR_TIDEMARK_INVALID_ARGUMENT: stream must be a string; ');
    expect(engine.calls).toEqual(['close']);
  });

  test('before it reads, since read returns no events, was a wrong request', async () => {
    const source = { name: 'numbers', read: () => 7 } as unknown as JobSource;
    const engine = new FakeEngine();
    const { outcome, out } = start({ source }, engine);
    expect(await outcome).toEqual({ exitCode: 2 });
    expect(out.stderr).toContain('tidemark: ERR_TIDEMARK_INVALID_JOB: ');
    expect(engine.calls).toEqual(['close']);
  });

  test('while reading has exit code 1 even if the job is at fault', async () => {
    const source = {
      name: 'numbers',
      async *read() {
        yield { stream: 'a', payload: 'x', offset: 0 };
        yield 7;
      },
    } as unknown as JobSource;
    const { outcome, out } = start({ source });
    expect(await outcome).toEqual({ exitCode: 1 });
    expect(out.stderr).toContain('tidemark: ERR_TIDEMARK_INVALID_JOB: ');
  });

  test('in its source keeps what was accepted before', async () => {
    const source: JobSource = {
      name: 'numbers',
      async *read() {
        yield { stream: 'a', payload: 'x', offset: 0 };
        throw new Error('connection lost');
      },
    };
    const engine = new FakeEngine();
    const { outcome, out } = start({ source }, engine);
    expect(await outcome).toEqual({ exitCode: 1 });
    expect(out.stderr).toContain('connection lost');
    expect(engine.applied).toBe(1);
    expect(engine.calls).toEqual(['close']);
  });
});
