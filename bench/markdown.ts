/** BENCHMARKS.md: the method as it is written by hand, and what the last runs of the suites have found. */
import type { SuiteRecord } from './record.ts';
import { kindOf, nsText, ratioText, referencesOf, timesText } from './subject-kind.ts';
import type { Result } from './suite.ts';

export function benchmarksOf(method: string, records: readonly SuiteRecord[]): string {
  const parts = [
    '# Benchmarks',
    '<!-- Written by `npm run bench:report`; change bench/METHOD.md instead. -->',
    method.trim(),
  ];
  if (records.length === 0) parts.push('## Results', 'No suite has been run yet.');
  for (const record of records) parts.push(...suiteParts(record));
  return `${parts.join('\n\n')}\n`;
}

function suiteParts(record: SuiteRecord): string[] {
  const { suite, machine, node, packages, date, results } = record;
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  const cases = [...Map.groupBy(results, (result) => result.case).values()];
  return [
    `## Suite \`${suite}\``,
    `${date}, ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}, Node ${node}. ${versions.join(', ')}.`,
    `![Chart of the suite ${suite}](bench/results/${suite}.svg)`,
    ...(results.some(({ remarks }) => remarks.length > 1) ? cases.flatMap(caseParts) : tableParts(results)),
  ];
}

/** Cases that were measured for several shapes or sizes: a table for each, with a column for each of them. */
function tableParts(results: readonly Result[]): string[] {
  const groups = Map.groupBy(results, (result) => result.case.split('/')[0] as string);
  return [...groups].flatMap(([name, group]) => {
    const shapes = [...new Set(group.map((result) => shapeOf(result)))];
    const subjects = [...new Set(group.map(({ subject }) => subject))];
    const ofShape = (shape: string): Result[] => group.filter((result) => shapeOf(result) === shape);
    const find = (subject: string, shape: string): Result | undefined =>
      group.find((result) => result.subject === subject && shapeOf(result) === shape);
    const own = subjects.find((subject) => kindOf(subject) === 'tidemark') ?? '';
    const ratios = (label: string, key: 'rival' | 'limit'): string[] =>
      row([
        label,
        ...shapes.map((shape) => {
          const result = find(own, shape);
          return result === undefined ? '' : ratioText(referencesOf(ofShape(shape))[key], result);
        }),
      ]);
    const hasKind = (kind: string): boolean => subjects.some((subject) => kindOf(subject) === kind);
    const lines = [
      ...row([`ns/op`, ...shapes]),
      ...row(['---', ...shapes.map(() => '---:')]),
      ...subjects.flatMap((subject) =>
        row([
          `\`${subject}\``,
          ...shapes.map((shape) => {
            const result = find(subject, shape);
            return result === undefined ? '' : nsText(result.nsPerOp);
          }),
        ]),
      ),
      ...(hasKind('rival') ? ratios(`**${own}, to the best rival**`, 'rival') : []),
      ...(hasKind('limit') ? ratios(`**${own}, to the limit**`, 'limit') : []),
    ];
    return [
      `### \`${name}\``,
      lines.join('\n'),
      ...remarksOf(group),
      ...diskParts(group, { shapes, subjects }),
    ];
  });
}

/** What the subjects take of the disk and write to it, a table of its own. */
function diskParts(
  results: readonly Result[],
  { shapes, subjects }: { readonly shapes: readonly string[]; readonly subjects: readonly string[] },
): string[] {
  const withDisk = results.filter(({ disk }) => disk !== undefined);
  if (withDisk.length === 0) return [];
  const isWritten = withDisk.some(({ disk }) => disk?.writtenToSaved !== undefined);
  const lines = [
    ...row([isWritten ? 'on disk to kept, written to saved' : 'on disk to kept', ...shapes]),
    ...row(['---', ...shapes.map(() => '---:')]),
    ...subjects.flatMap((subject) => {
      const own = withDisk.filter((result) => result.subject === subject);
      if (own.length === 0) return [];
      return row([
        `\`${subject}\``,
        ...shapes.map((shape) => diskText(own.find((result) => shapeOf(result) === shape))),
      ]);
    }),
  ];
  return [lines.join('\n')];
}

function diskText(result: Result | undefined): string {
  const { takenToKept, writtenToSaved } = result?.disk ?? {};
  return [takenToKept, writtenToSaved]
    .filter((times) => times !== undefined)
    .map(timesText)
    .join(', ');
}

/** Rivals of which there is something to know, with their remark. */
function remarksOf(results: readonly Result[]): string[] {
  const bySubject = new Map(results.map(({ subject, remarks }) => [subject, remarks.join('; ')]));
  const byRemark = Map.groupBy(
    [...bySubject].filter(([, remark]) => remark !== ''),
    ([, remark]) => remark,
  );
  const sentences = [...byRemark].map(
    ([remark, subjects]) => `${subjects.map(([subject]) => `\`${subject}\``).join(', ')}: ${remark}.`,
  );
  return sentences.length === 0 ? [] : [sentences.join(' ')];
}

/** Cases whose subjects have more to say than a figure. */
function caseParts(results: readonly Result[]): string[] {
  const { rival } = referencesOf(results);
  const lines = results.flatMap((result) => [
    `- \`${result.subject}\`: **${nsText(result.nsPerOp)} ns/event**${withRatio(ratioText(rival, result))}, best of ${result.samples}`,
    ...result.remarks.map((remark) => `  - ${remark}`),
  ]);
  return [`### \`${results[0]?.case ?? ''}\``, lines.join('\n')];
}

function withRatio(ratio: string): string {
  return ratio === '' ? '' : `, ${ratio} the best rival's speed`;
}

function shapeOf(result: Result): string {
  return result.case.split('/')[1] ?? '';
}

function row(cells: readonly string[]): string[] {
  return [`| ${cells.join(' | ')} |`];
}
