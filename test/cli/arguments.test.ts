import { describe, expect, test } from 'vitest';
import { parseCommand } from '../../src/cli/arguments.ts';
import { errorLine } from '../../src/cli/output.ts';
import { REMEDIES } from '../../src/cli/remedy.ts';

const nothing = {
  json: false,
  directory: undefined,
  shards: undefined,
  limit: undefined,
  crashAfter: undefined,
};

describe('commands', () => {
  test('demo takes its options', () => {
    expect(parseCommand(['demo'])).toEqual({ name: 'demo', run: nothing });
    const argv = [
      'demo',
      '--json',
      '--directory',
      'd',
      '--shards',
      '3',
      '--limit=600000',
      '--crash-after',
      '5',
    ];
    expect(parseCommand(argv)).toEqual({
      name: 'demo',
      run: { json: true, directory: 'd', shards: 3, limit: 600_000, crashAfter: 5 },
    });
  });

  test('run takes the path of a job', () => {
    expect(parseCommand(['run', 'job.ts', '--limit', '0'])).toEqual({
      name: 'run',
      job: 'job.ts',
      run: { ...nothing, limit: 0 },
    });
  });

  test('ls, show and verify take a directory', () => {
    expect(parseCommand(['ls', 'd'])).toEqual({ name: 'ls', directory: 'd', json: false });
    expect(parseCommand(['verify', '--json', 'd'])).toEqual({ name: 'verify', directory: 'd', json: true });
    const show = { name: 'show', directory: 'd', stream: 's', json: false };
    expect(parseCommand(['show', 'd', 's'])).toEqual({ ...show, sequence: undefined });
    expect(parseCommand(['show', 'd', 's', '18446744073709551615'])).toEqual({
      ...show,
      sequence: 2n ** 64n - 1n,
    });
  });

  test('help and version win over everything else', () => {
    expect(parseCommand(['--help'])).toEqual({ name: 'help' });
    expect(parseCommand(['run', '-h'])).toEqual({ name: 'help' });
    expect(parseCommand(['help'])).toEqual({ name: 'help' });
    expect(parseCommand(['--version'])).toEqual({ name: 'version' });
  });
});

describe('wrong requests', () => {
  test.each([
    [[], 'no command given'],
    [['fly'], "unknown command 'fly'"],
    [['demo', 'x'], 'wrong number of operands: tidemark demo'],
    [['run'], 'wrong number of operands: tidemark run JOB'],
    [['ls'], 'wrong number of operands: tidemark ls DIR'],
    [['show', 'd'], 'wrong number of operands: tidemark show DIR STREAM [SEQ]'],
    [['show', 'd', 's', '-1'], "Unknown option '-1'"],
    [['show', 'd', 's', 'x'], "SEQ must be a sequence number, got 'x'"],
    [['show', 'd', 's', '18446744073709551616'], 'SEQ must be a sequence number'],
    [['ls', 'd', '--shards', '1'], "--shards is no option of 'ls'"],
    [['demo', '--shards', '0'], "--shards must be an integer of at least 1, got '0'"],
    [['demo', '--shards', '1.5'], "got '1.5'"],
    [['demo', '--limit', '1e3'], "got '1e3'"],
    [['demo', '--limit', '9007199254740993'], '--limit must be an integer'],
    [['demo', '--limit'], "Option '--limit <value>' argument missing"],
    [['demo', '--directory', ''], '--directory must be a path'],
    [['demo', '--colour'], "Unknown option '--colour'"],
  ])('%j', (argv, message) => {
    expect(() => parseCommand(argv)).toThrow(
      expect.objectContaining({
        code: 'ERR_TIDEMARK_INVALID_ARGUMENT',
        message: expect.stringContaining(message),
      }),
    );
  });

  test.each([
    [['demo', '--bogus'], "Unknown option '--bogus'"],
    [['demo', '--limit', '-5'], "Option '--limit' argument is ambiguous"],
    [['demo', '--json=yes'], "Option '--json' does not take an argument"],
  ])('%j is told in one sentence, without the advice of Node.js', (argv, sentence) => {
    let line = '';
    try {
      parseCommand(argv);
    } catch (error) {
      line = errorLine(error);
    }
    const remedy = REMEDIES.ERR_TIDEMARK_INVALID_ARGUMENT;
    expect(line).toBe(`tidemark: ERR_TIDEMARK_INVALID_ARGUMENT: ${sentence}; ${remedy}\n`);
  });
});
