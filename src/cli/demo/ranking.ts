/** The airports with the worst mean delay, from the final states of the demo. */
import { formatCount, formatTable } from '../output.ts';
import type { FinalState } from '../state-digest.ts';
import { destinationOfKey } from './flight.ts';
import { DELAY_STATS, DESTINATIONS, readDelayStats, readDestinations } from './flights-operators.ts';

export interface RankedAirport {
  readonly stream: string;
  readonly flights: number;
  readonly meanDelay: number;
  readonly maxDelay: number;
}

interface Airport extends RankedAirport {
  readonly topDestination: string;
}

const AIRPORTS_SHOWN = 10;
/** Below this a mean says little: one airport has a single flight. */
const FLIGHTS_LEAST = 1_000;

export class Ranking {
  readonly #airports: Airport[] = [];

  add({ stream, state }: FinalState): void {
    const stats = state.operatorStates.get(DELAY_STATS);
    const destinations = state.operatorStates.get(DESTINATIONS);
    if (stats === undefined || destinations === undefined) return;
    const { flights, sum, greatest } = readDelayStats(stats);
    if (flights < FLIGHTS_LEAST) return;
    this.#airports.push({
      stream,
      flights,
      meanDelay: sum / flights,
      maxDelay: greatest,
      topDestination: topOf(readDestinations(destinations)),
    });
  }

  top(): RankedAirport[] {
    return this.#sorted().map(({ stream, flights, meanDelay, maxDelay }) => ({
      stream,
      flights,
      meanDelay,
      maxDelay,
    }));
  }

  format(): string {
    const rows = this.#sorted().map((airport, index) => [
      String(index + 1),
      airport.stream,
      formatCount(airport.flights),
      airport.meanDelay.toFixed(2),
      formatCount(airport.maxDelay),
      airport.topDestination,
    ]);
    if (rows.length === 0) return `no airport has ${formatCount(FLIGHTS_LEAST)} flights yet\n`;
    const header = ['', 'airport', 'flights', 'mean delay (min)', 'max delay (min)', 'most flights to'];
    return formatTable(header, rows);
  }

  /** Equal means fall back on the airport codes, which are ASCII, so `<` sorts them by their bytes. */
  #sorted(): Airport[] {
    const byDelay = this.#airports.toSorted(
      (a, b) => b.meanDelay - a.meanDelay || (a.stream < b.stream ? -1 : 1),
    );
    return byDelay.slice(0, AIRPORTS_SHOWN);
  }
}

function topOf(destinations: ReadonlyMap<number, number>): string {
  let topKey: number | undefined;
  let topCount = 0;
  // Ascending by key, as snapshots are, so the first of equals is always the same one.
  for (const [key, count] of destinations) {
    if (count > topCount) {
      topKey = key;
      topCount = count;
    }
  }
  return topKey === undefined ? '' : destinationOfKey(topKey);
}
