/** `ls`, `show` and `verify`: what is in a directory. Nothing there is changed. */
import { type CheckpointView, viewFrame } from '../codec/view.ts';
import { TidemarkError } from '../error.ts';
import type { Damage } from '../store/log/damage.ts';
import { type Inspection, inspectDirectory, readFrame } from '../store/log/inspect.ts';
import { nodeFileSystem } from '../store/node-file-system.ts';
import { requireNoFile } from './directory.ts';
import { formatBytes, formatCount, formatTable, printable, type Terminal, toJsonLine } from './output.ts';

interface DirectoryCommand {
  readonly directory: string;
  readonly json: boolean;
}

interface ShowCommand extends DirectoryCommand {
  readonly stream: string;
  readonly sequence: bigint | undefined;
}

/** One line for each stream, then each damage met on the way, then the directory. */
export function lsCommand({ directory, json }: DirectoryCommand, terminal: Terminal): number {
  requireNoFile(directory);
  const found = inspectDirectory(nodeFileSystem, directory, { verify: false });
  const { stdout } = terminal;
  if (json) {
    for (const { stream, checkpoints } of found.streams) {
      stdout.write(toJsonLine({ stream, sequence: checkpoints.at(-1)?.sequence, checkpoints }));
    }
  } else if (found.streams.length > 0) {
    const rows = found.streams.map(({ stream, checkpoints }) => [
      printable(stream),
      formatCount(checkpoints.length),
      String(checkpoints.at(-1)?.sequence ?? ''),
      formatCount(checkpoints.reduce((sum, { bytes }) => sum + bytes, 0)),
      checkpoints.at(-1)?.createdAt?.toISOString() ?? 'damaged',
    ]);
    stdout.write(formatTable(['stream', 'checkpoints', 'newest sequence', 'bytes', 'taken'], rows));
  }
  return report(directory, found, { json, stdout });
}

/** Reads and checks every byte: one line for each damage, then the directory. */
export function verifyCommand({ directory, json }: DirectoryCommand, { stdout }: Terminal): number {
  requireNoFile(directory);
  const found = inspectDirectory(nodeFileSystem, directory, { verify: true });
  const exitCode = report(directory, found, { json, stdout });
  if (!json && exitCode === 0) stdout.write('everything verifies\n');
  return exitCode;
}

/** @throws ERR_TIDEMARK_NOT_FOUND, ERR_TIDEMARK_DAMAGED_FRAME */
export function showCommand(command: ShowCommand, { stdout }: Terminal): number {
  const { directory, stream, sequence, json } = command;
  requireNoFile(directory);
  const frame = readFrame(nodeFileSystem, directory, { stream, sequence });
  if (frame === undefined) {
    const which = sequence === undefined ? 'no checkpoint' : `no checkpoint at ${sequence}`;
    throw new TidemarkError('ERR_TIDEMARK_NOT_FOUND', `${directory} has ${which} of stream '${stream}'`);
  }
  const view = viewFrame(frame);
  stdout.write(json ? toJsonLine(showJson(view)) : showText(view));
  return 0;
}

function showJson(view: CheckpointView): object {
  return {
    stream: view.streamId,
    sequence: view.sequence,
    createdAt: view.createdAt,
    generation: view.generation,
    watermarkNs: view.watermarkNs,
    eventCount: view.eventCount,
    bytes: view.byteLength,
    operators: [...view.operators()].map(([name, state]) => ({
      name,
      version: view.operatorVersion(name),
      bytes: state.length,
      stateBase64: Buffer.from(state).toString('base64'),
    })),
    sources: Object.fromEntries(view.sources()),
    metadata: Object.fromEntries(view.metadata()),
  };
}

/** Bytes of a state that are shown; `--json` has them all. */
const STATE_BYTES_SHOWN = 24;

function showText(view: CheckpointView): string {
  const lines = [
    `stream      ${printable(view.streamId)}`,
    `sequence    ${view.sequence}`,
    `taken       ${view.createdAt.toISOString()} by generation ${view.generation}`,
    `watermark   ${view.watermarkNs} (${formatTime(view.watermarkNs)})`,
    `events      ${formatCount(view.eventCount)}`,
    `frame       ${formatCount(view.byteLength)} bytes, checksum verified`,
  ];
  for (const [name, state] of view.operators()) {
    const start = Buffer.from(state.subarray(0, STATE_BYTES_SHOWN)).toString('hex');
    const more = state.length > STATE_BYTES_SHOWN ? '…' : '';
    const version = view.operatorVersion(name);
    lines.push(
      `operator    ${printable(name)}, version ${version}, ${formatCount(state.length)} bytes: ${start}${more}`,
    );
  }
  for (const [name, offset] of view.sources()) {
    lines.push(`source      ${printable(name)}, next offset ${formatCount(offset)}`);
  }
  for (const [key, value] of view.metadata())
    lines.push(`metadata    ${printable(key)} = ${printable(value)}`);
  return `${lines.join('\n')}\n`;
}

/** Watermarks are whatever a job makes of them, so they may lie beyond what a Date can hold. */
function formatTime(watermarkNs: bigint): string {
  const date = new Date(Number(watermarkNs / 1_000_000n));
  return Number.isNaN(date.getTime()) ? 'no time' : date.toISOString();
}

interface Target {
  readonly json: boolean;
  readonly stdout: Terminal['stdout'];
}

/** The damage and the directory as a whole. Exit code 1 when there is damage; a torn tail is none. */
function report(directory: string, found: Inspection, { json, stdout }: Target): 0 | 1 {
  const { damage, frontiers, generation, segments, diskBytes, torn } = found;
  const checkpoints = found.streams.reduce((sum, stream) => sum + stream.checkpoints.length, 0);
  if (json) {
    for (const each of damage) stdout.write(toJsonLine({ damage: each }));
    const overview = {
      directory,
      generation,
      streams: found.streams.length,
      checkpoints,
      segments,
      diskBytes,
      frontiers: Object.fromEntries(frontiers),
      torn: torn ?? null,
      damaged: damage.length,
      ok: damage.length === 0,
    };
    stdout.write(toJsonLine(overview));
  } else {
    for (const each of damage) stdout.write(`damage: ${damageText(each)}\n`);
    stdout.write(
      `${formatCount(found.streams.length)} streams, ${formatCount(checkpoints)} checkpoints, ` +
        `generation ${generation}, ${formatBytes(diskBytes)} in ${segments} segments\n`,
    );
    for (const [source, offset] of frontiers) {
      stdout.write(`frontier of ${printable(source)}: everything below ${formatCount(offset)} is durable\n`);
    }
    if (torn !== undefined) {
      stdout.write(`the last commit was cut short (${torn.file} at ${torn.position}); no damage\n`);
    }
  }
  return damage.length === 0 ? 0 : 1;
}

function damageText({ kind, file, position, stream, sequence, detail }: Damage): string {
  const place = position === undefined ? file : `${file} at ${position}`;
  const whose =
    stream === undefined
      ? ''
      : `stream ${printable(stream)}${sequence === undefined ? '' : ` at ${sequence}`}: `;
  return `${kind} in ${place}: ${whose}${detail}`;
}
