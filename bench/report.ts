/** How results are shown: a table for people, or one JSON object a line for programs. */
import { nsText, ratioText, referencesOf, timesText } from './subject-kind.ts';
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
const WIDTHS = [22, 24, 14, 14, 12, 8, 14, 10] as const;

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
  const { rival, limit } = referencesOf(results);
  return results
    .map((result) => {
      const remarks = [...result.remarks, ...diskText(result)];
      const line = row([
        result.case,
        result.subject,
        nsText(result.nsPerOp),
        result.samples > 1 ? spreadText(result.spread) : '',
        result.bytesPerOp.toLocaleString('en-US'),
        (result.bytesPerOp / result.nsPerOp).toFixed(2),
        ratioText(rival, result),
        ratioText(limit, result),
        remarks.length === 1 ? ` ${remarks[0]}` : '',
      ]);
      if (remarks.length === 1) return line;
      return [line, ...remarks.map((remark) => `  ${remark}\n`)].join('');
    })
    .join('');
}

function spreadText({ median, greatest, least }: Result['spread']): string {
  return `${least === undefined ? `+${percent(median)}` : `-${percent(least)}`} +${percent(greatest)}`;
}

function diskText({ disk }: Result): string[] {
  if (disk === undefined) return [];
  const { takenToKept, writtenToSaved } = disk;
  const written = writtenToSaved === undefined ? '' : `, writes ${timesText(writtenToSaved)} what it saves`;
  return [`takes ${timesText(takenToKept)} what it keeps${written}`];
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
