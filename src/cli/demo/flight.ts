/**
 * The form in which a flight travels from the reader's thread to the operators, as the payload of an event:
 *
 *   i32 delay in minutes (negative: early) | u32 distance in miles | 3 bytes destination, an ASCII airport code
 *
 * Little-endian, 11 bytes. The origin is the event's stream and the date its watermark, so neither is repeated.
 * A row group crosses threads as columns; `FlightGroup` is that message.
 */

export const FLIGHT_BYTES = 11;
const DELAY = 0;
const DISTANCE = 4;
const DESTINATION = 8;

export const SOURCE_NAME = 'flights';
/** Rows of the data set. */
export const FLIGHTS_TOTAL = 3_000_000;

export interface FlightGroup {
  /** Row of the file that the first flight stands in. */
  readonly firstRow: number;
  readonly flights: number;
  /** Airport codes that `origin` points into. */
  readonly origins: readonly string[];
  readonly origin: Uint16Array<ArrayBuffer>;
  /** Dates in nanoseconds since the Unix epoch, UTC. */
  readonly watermarkNs: BigUint64Array<ArrayBuffer>;
  /** `flights` records of `FLIGHT_BYTES`. */
  readonly records: Uint8Array<ArrayBuffer>;
}

/** What the reader's thread sends; `undefined` when the file is read to the end. */
export type ReaderMessage = { readonly group: FlightGroup | undefined };

export interface ReaderOptions {
  readonly file: string;
  readonly fromRow: number;
  /** Rows from here on are not read. */
  readonly endRow: number;
}

export interface Flight {
  readonly delay: number;
  readonly distance: number;
  readonly destination: string;
}

export function writeFlight(view: DataView, offset: number, flight: Flight): void {
  const { destination } = flight;
  if (destination.length !== 3) throw new RangeError(`'${destination}' is no airport code of three letters`);
  view.setInt32(offset + DELAY, flight.delay, true);
  view.setUint32(offset + DISTANCE, flight.distance, true);
  for (let index = 0; index < 3; index += 1) {
    view.setUint8(offset + DESTINATION + index, destination.charCodeAt(index));
  }
}

/** Byte by byte: a DataView for each event would cost more than the operator that reads it. */
export function readDelay(payload: Uint8Array): number {
  return (
    payload[DELAY]! | (payload[DELAY + 1]! << 8) | (payload[DELAY + 2]! << 16) | (payload[DELAY + 3]! << 24)
  );
}

/** The three letters as one number, in the order of the letters. */
export function readDestinationKey(payload: Uint8Array): number {
  return (payload[DESTINATION]! << 16) | (payload[DESTINATION + 1]! << 8) | payload[DESTINATION + 2]!;
}

export function destinationOfKey(key: number): string {
  return String.fromCharCode(key >>> 16, (key >>> 8) & 0xff, key & 0xff);
}
