/**
 * Thread that decodes the flights of the demo, one row group for each message it gets. It keeps to what it was
 * asked for, so decoded groups cannot pile up, and never touches groups that lie before the first row wanted.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import {
  FLIGHT_BYTES,
  type FlightGroup,
  type ReaderMessage,
  type ReaderOptions,
  writeFlight,
} from '../src/cli/demo/flight.ts';

if (parentPort === null) throw new Error('flights-reader runs as a worker thread only');
const port = parentPort;
const { file, fromRow, endRow } = workerData as ReaderOptions;

const COLUMNS = ['date', 'delay', 'distance', 'origin', 'destination'];

/** Nanoseconds at once: a Date for each row would be made only to be taken apart. */
const parsers = { timestampFromMicroseconds: (micros: bigint) => micros * 1000n };

interface GroupRange {
  readonly firstRow: number;
  readonly endRow: number;
}

const buffer = await asyncBufferFromFile(file);
const metadata = await parquetMetadataAsync(buffer);

function* wantedGroups(): Generator<GroupRange> {
  let firstRow = 0;
  for (const group of metadata.row_groups) {
    const range = { firstRow, endRow: firstRow + Number(group.num_rows) };
    firstRow = range.endRow;
    if (range.endRow > fromRow && range.firstRow < endRow) yield range;
  }
}

async function decode({ firstRow, endRow: groupEnd }: GroupRange): Promise<FlightGroup> {
  const flights = groupEnd - firstRow;
  const origins: string[] = [];
  const originIndex = new Map<string, number>();
  const origin = new Uint16Array(flights);
  const watermarkNs = new BigUint64Array(flights);
  const records = new Uint8Array(flights * FLIGHT_BYTES);
  const columns = new Map(COLUMNS.map((name) => [name, new Array<unknown>(flights)]));
  await parquetRead({
    file: buffer,
    metadata,
    compressors,
    parsers,
    columns: COLUMNS,
    rowStart: firstRow,
    rowEnd: groupEnd,
    onChunk({ columnName, columnData, rowStart }) {
      const column = columns.get(columnName)!;
      for (let row = 0; row < columnData.length; row += 1)
        column[rowStart - firstRow + row] = columnData[row];
    },
  });
  const [date, delay, distance, from, destination] = COLUMNS.map((name) => columns.get(name)!);
  const view = new DataView(records.buffer);
  for (let row = 0; row < flights; row += 1) {
    const code = from![row] as string;
    let index = originIndex.get(code);
    if (index === undefined) {
      index = origins.push(code) - 1;
      originIndex.set(code, index);
    }
    origin[row] = index;
    watermarkNs[row] = date![row] as bigint;
    writeFlight(view, row * FLIGHT_BYTES, {
      delay: Number(delay![row]),
      distance: Number(distance![row]),
      destination: destination![row] as string,
    });
  }
  return { firstRow, flights, origins, origin, watermarkNs, records };
}

const groups = wantedGroups();
let work = Promise.resolve();

async function readNext(): Promise<void> {
  const next = groups.next();
  const group = next.done === true ? undefined : await decode(next.value);
  const message: ReaderMessage = { group };
  const buffers = group && [group.origin.buffer, group.watermarkNs.buffer, group.records.buffer];
  port.postMessage(message, buffers ?? []);
}

port.on('message', () => {
  work = work.then(readNext);
});
