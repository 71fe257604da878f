/** How results are shown: a table for people, or one JSON object a line for programs. */
import type { Result } from './suite.ts';

const HEADER = [
  'case',
  'subject',
  'ns/op',
  'spread',
  'bytes/op',
  'GB/s',
  'to best rival',
  'to limit',
] as const;
const WIDTHS = [22, 20, 14, 14, 12, 8, 14, 10] as const;

/** The fields of a result that programs rely on. */
export function toJsonLine(result: Result): string {
  const { suite, subject, nsPerOp, bytesPerOp, samples } = result;
  return `${JSON.stringify({ suite, case: result.case, subject, nsPerOp, bytesPerOp, samples })}\n`;
}

export function headerLine(): string {
  return row(HEADER);
}

/** The rows of one case, with ratios to its fastest rival and to the physical limit: above 1 is faster. */
export function caseLines(results: readonly Result[]): string {
  const rival = fastest(results.filter((result) => isRival(result.subject)));
  const limit = fastest(results.filter((result) => isLimit(result.subject)));
  return results
    .map((result) => {
      const { median, greatest } = result.spread;
      const line = row([
        result.case,
        result.subject,
        formatNs(result.nsPerOp),
        result.samples > 1 ? `+${percent(median)} +${percent(greatest)}` : '',
        result.bytesPerOp.toLocaleString('en-US'),
        (result.bytesPerOp / result.nsPerOp).toFixed(2),
        ratio(rival, result),
        ratio(limit, result),
        result.remarks.length === 1 ? ` ${result.remarks[0]}` : '',
      ]);
      if (result.remarks.length === 1) return line;
      return [line, ...result.remarks.map((remark) => `  ${remark}\n`)].join('');
    })
    .join('');
}

function isLimit(subject: string): boolean {
  return subject === 'memcpy' || subject.startsWith('limit-');
}

function isOwn(subject: string): boolean {
  return subject === 'tidemark' || subject.startsWith('tidemark-');
}

function isRival(subject: string): boolean {
  return !isLimit(subject) && !isOwn(subject);
}

function fastest(results: readonly Result[]): Result | undefined {
  return results.toSorted((a, b) => a.nsPerOp - b.nsPerOp)[0];
}

function ratio(other: Result | undefined, result: Result): string {
  if (other === undefined || other === result) return '';
  return `${(other.nsPerOp / result.nsPerOp).toFixed(2)}×`;
}

function formatNs(ns: number): string {
  return ns.toLocaleString('en-US', { maximumFractionDigits: ns < 1_000 ? 1 : 0 });
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)}%`;
}

/** The names to the left, the figures to the right. */
function row(cells: readonly string[]): string {
  const padded = cells.map((cell, column) => {
    const width = WIDTHS[column] ?? 0;
    return column < 2 ? cell.padEnd(width) : cell.padStart(width);
  });
  return `${padded.join(' ').trimEnd()}\n`;
}
