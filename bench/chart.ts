/** A chart of a suite's results as SVG, drawn by vega-lite without a browser or a canvas. */
import { writeFile } from 'node:fs/promises';
import { isInstalled, load } from './compare/packages.ts';
import type { SuiteRecord } from './record.ts';
import { kindOf, type SubjectKind } from './subject-kind.ts';
import type { Result } from './suite.ts';

interface VegaLite {
  compile(spec: object): { readonly spec: object };
}

interface Vega {
  parse(spec: object): object;
  readonly View: new (
    runtime: object,
    options: { readonly renderer: 'none' },
  ) => { toSVG(): Promise<string>; finalize(): unknown };
}

/** Dark enough for white paper, light enough for a dark page, and told apart without red and green. */
const COLOURS: Readonly<Record<SubjectKind, string>> = {
  tidemark: '#0f7ac8',
  rival: '#8a8f98',
  limit: '#d9822b',
};
const KINDS: readonly SubjectKind[] = ['tidemark', 'rival', 'limit'];

/** False if vega is not installed. */
export async function writeChart(folder: URL, record: SuiteRecord): Promise<boolean> {
  if (!isInstalled('vega') || !isInstalled('vega-lite')) return false;
  const vegaLite = await load<VegaLite>('vega-lite');
  const vega = await load<Vega>('vega');
  const view = new vega.View(vega.parse(vegaLite.compile(chartOf(record)).spec), { renderer: 'none' });
  await writeFile(new URL(`${record.suite}.svg`, folder), `${await view.toSVG()}\n`);
  view.finalize();
  return true;
}

/**
 * One panel for each case; a case like `encode/small` goes to the row of its name and the column of its
 * shape. The panels of a row have the same subjects, so only the first one names them.
 */
export function chartOf({ suite, machine, node, results }: SuiteRecord): object {
  const rows = Map.groupBy(results, (result) => result.case.split('/')[0]);
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: `${suite}: nanoseconds for one operation, less is better`,
      subtitle: `${machine.cpu}, ${machine.cores} cores, Node ${node}`,
      anchor: 'start',
      offset: 16,
    },
    background: '#ffffff',
    padding: 12,
    vconcat: [...rows.values()].map((row) => ({
      hconcat: [...Map.groupBy(row, (result) => result.case)].map(([name, panel], column) =>
        panelOf(name, panel, column === 0),
      ),
    })),
  };
}

function panelOf(name: string, results: readonly Result[], namesSubjects: boolean): object {
  const decades = decadesOf(results);
  return {
    title: { text: name, fontSize: 11 },
    width: 140,
    height: { step: 14 },
    data: {
      values: results.map(({ subject, nsPerOp }) => ({ subject, kind: kindOf(subject), ns: nsPerOp })),
    },
    mark: { type: 'point', filled: true, size: 50, opacity: 1 },
    encoding: {
      x: {
        field: 'ns',
        type: 'quantitative',
        scale: { type: 'log', domain: [decades[0], decades.at(-1)] },
        axis: { values: decades, format: '~s' },
        title: null,
      },
      y: {
        field: 'subject',
        type: 'nominal',
        sort: results.map(({ subject }) => subject),
        axis: { labels: namesSubjects, ticks: namesSubjects, grid: true },
        title: null,
      },
      color: {
        field: 'kind',
        type: 'nominal',
        scale: { domain: KINDS, range: KINDS.map((kind) => COLOURS[kind]) },
        title: null,
      },
    },
  };
}

/** The powers of ten around the results. */
function decadesOf(results: readonly Result[]): number[] {
  const times = results.map(({ nsPerOp }) => Math.log10(nsPerOp));
  const first = Math.floor(Math.min(...times));
  const last = Math.max(first + 1, Math.ceil(Math.max(...times)));
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
}
