/**
 * Where lines go. Results go to stdout: text, or with `--json` one object a line and nothing else. News,
 * progress and errors go to stderr.
 */
import { type ErrorCode, TidemarkError } from '../error.ts';
import { REMEDIES } from './remedy.ts';

/** The two standard streams as far as the commands use them; tests pass their own. */
export interface Terminal {
  readonly stdout: TextSink;
  readonly stderr: TextSink & { readonly isTTY?: boolean; readonly columns?: number };
}

export interface TextSink {
  write(text: string): unknown;
}

/** u64 values exceed what JSON numbers hold exactly, so every bigint is written as a decimal string. */
export function toJsonLine(value: object): string {
  return `${JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? String(item) : item))}\n`;
}

/** `tidemark: CODE: message; what to do`, on one line. */
export function errorLine(error: unknown): string {
  const { code, message } = describe(error);
  const line = message.replaceAll(/\s*\n\s*/g, ' ').trim();
  // A message that goes on after a semicolon says itself what to do, and more to the point.
  const remedy = isKnownCode(code) && !line.includes('; ') ? `; ${REMEDIES[code]}` : '';
  return `tidemark: ${code}: ${line}${remedy}\n`;
}

function describe(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: 'Error', message: String(error) };
  const { code } = error as { code?: unknown };
  return { code: typeof code === 'string' ? code : error.name, message: withCause(error) };
}

/** Our own messages name the cause where it matters; a bare wrapper would hide it. */
export function withCause(error: Error): string {
  const { cause } = error;
  if (!(error instanceof TidemarkError) || !(cause instanceof Error)) return error.message;
  return cause.message === '' || error.message.includes(cause.message)
    ? error.message
    : `${error.message} (${cause.message})`;
}

function isKnownCode(code: string): code is ErrorCode {
  return Object.hasOwn(REMEDIES, code);
}

const REQUEST_ERRORS: ReadonlySet<string> = new Set<ErrorCode>([
  'ERR_TIDEMARK_INVALID_ARGUMENT',
  'ERR_TIDEMARK_INVALID_JOB',
  'ERR_TIDEMARK_NOT_A_STORE',
  'ERR_TIDEMARK_NOT_FOUND',
  'ERR_TIDEMARK_UNSUPPORTED',
]);

/** 2: the request is wrong; 1: what was asked for failed. For errors thrown before any work was done. */
export function exitCodeOf(error: unknown): 1 | 2 {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' && REQUEST_ERRORS.has(code) ? 2 : 1;
}

const grouped = new Intl.NumberFormat('en-US');

export function formatCount(value: number | bigint): string {
  return grouped.format(value);
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** Names are any text: what would steer a terminal is shown in the notation of JSON. */
export function printable(name: string): string {
  return /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name) || name === ''
    ? escapeControls(JSON.stringify(name))
    : name;
}

function escapeControls(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`,
  );
}

/** Rows of cells under a header, numbers to the right. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const isNumeric = header.map((_, column) => rows.every((row) => /^-?[\d,.]+$/.test(row[column] ?? '')));
  const lines = all.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? '';
        return isNumeric[column] ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}
