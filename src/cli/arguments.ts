/** What the command line asks for, as a value. Nothing is opened or read here. */
import { parseArgs } from 'node:util';
import { TidemarkError } from '../error.ts';

export interface RunArguments {
  readonly json: boolean;
  /** Where checkpoints are kept; a job may name a directory or a store of its own. */
  readonly directory: string | undefined;
  readonly shards: number | undefined;
  readonly limit: number | undefined;
  readonly crashAfter: number | undefined;
}

export type Command =
  | { readonly name: 'help' }
  | { readonly name: 'version' }
  | { readonly name: 'demo'; readonly run: RunArguments }
  | { readonly name: 'run'; readonly job: string; readonly run: RunArguments }
  | { readonly name: 'ls'; readonly directory: string; readonly json: boolean }
  | { readonly name: 'verify'; readonly directory: string; readonly json: boolean }
  | {
      readonly name: 'show';
      readonly directory: string;
      readonly stream: string;
      readonly sequence: bigint | undefined;
      readonly json: boolean;
    };

export const HELP = `tidemark: checkpoints for many streams, on worker threads, in a durable log

usage: tidemark COMMAND [options]

  demo                    read 3,000,000 flights, keep statistics of each origin airport
  run JOB                 run a job: a module with 'export default defineJob({ ... })'
  ls DIR                  the streams in a directory and their checkpoints
  show DIR STREAM [SEQ]   one checkpoint, the newest if no sequence is given
  verify DIR              read everything in a directory and check it

options of demo and run:
  --directory DIR         where checkpoints are kept (default ./tidemark-data)
  --shards N              worker threads (default: cores - 1, at least 1)
  --limit N               read the source only up to offset N
  --crash-after N         kill this process with SIGKILL after N events, to show recovery

options of every command:
  --json                  one JSON object a line on stdout, nothing else
  --help, --version

exit codes: 0 done; 1 the run failed, or what was looked at is damaged; 2 the request is wrong
`;

const OPTIONS = {
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
  directory: { type: 'string' },
  shards: { type: 'string' },
  limit: { type: 'string' },
  'crash-after': { type: 'string' },
} as const;

type Values = ReturnType<typeof parseStrictly>['values'];

/** @throws ERR_TIDEMARK_INVALID_ARGUMENT */
export function parseCommand(argv: readonly string[]): Command {
  const { values, positionals } = parseStrictly(argv);
  if (values.version === true) return { name: 'version' };
  if (values.help === true || positionals[0] === 'help') return { name: 'help' };
  const [name, ...operands] = positionals;
  const json = values.json === true;
  switch (name) {
    case 'demo':
      takes(name, operands, []);
      return { name, run: runArguments(values) };
    case 'run': {
      const [job] = takes(name, operands, ['JOB']);
      return { name, job: job!, run: runArguments(values) };
    }
    case 'ls':
    case 'verify': {
      refuseRunOptions(name, values);
      const [directory] = takes(name, operands, ['DIR']);
      return { name, directory: directory!, json };
    }
    case 'show': {
      refuseRunOptions(name, values);
      const [directory, stream, sequence] = takes(name, operands, ['DIR', 'STREAM'], '[SEQ]');
      return {
        name,
        directory: directory!,
        stream: stream!,
        sequence: sequence === undefined ? undefined : parseSequence(sequence),
        json,
      };
    }
    case undefined:
      throw wrong('no command given');
    default:
      throw wrong(`unknown command '${name}'`);
  }
}

function parseStrictly(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true });
  } catch (cause) {
    // Node's message goes on with advice about '--'; its first sentence names the option. The cause is left out:
    // it would bring that advice back.
    const message = cause instanceof Error ? cause.message : String(cause);
    throw wrong(message.split(/\.(?:\s|$)/, 1)[0]!);
  }
}

function runArguments(values: Values): RunArguments {
  return {
    json: values.json === true,
    directory: directoryOption(values.directory),
    shards: count('shards', values.shards, 1),
    limit: count('limit', values.limit, 0),
    crashAfter: count('crash-after', values['crash-after'], 1),
  };
}

function directoryOption(directory: string | undefined): string | undefined {
  if (directory === '') throw wrong('--directory must be a path');
  return directory;
}

function count(option: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least) {
    throw wrong(`--${option} must be an integer of at least ${least}, got '${text}'`);
  }
  return value;
}

function parseSequence(text: string): bigint {
  const value = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn)
    throw wrong(`SEQ must be a sequence number, got '${text}'`);
  return value;
}

function takes(command: string, operands: readonly string[], required: readonly string[], optional?: string) {
  const most = required.length + (optional === undefined ? 0 : 1);
  if (operands.length < required.length || operands.length > most) {
    const usage = ['tidemark', command, ...required, ...(optional === undefined ? [] : [optional])].join(' ');
    throw wrong(`wrong number of operands: ${usage}`);
  }
  return operands;
}

function refuseRunOptions(command: string, values: Values): void {
  for (const option of ['directory', 'shards', 'limit', 'crash-after'] as const) {
    if (values[option] !== undefined) throw wrong(`--${option} is no option of '${command}'`);
  }
}

function wrong(message: string): TidemarkError {
  return new TidemarkError('ERR_TIDEMARK_INVALID_ARGUMENT', message);
}
