/** Progress of a run on stderr: a bar that is redrawn on a terminal, a line now and then elsewhere. */
import { formatCount, type Terminal } from './output.ts';

export interface ProgressFacts {
  /** Events pushed in this run. */
  readonly events: number;
  /** Position in the source, and where it ends, as far as known. */
  readonly position: number | undefined;
  readonly end: number | undefined;
  readonly checkpoints: number;
  /** Source offsets that are read but not yet covered by durable checkpoints. */
  readonly durableLag: number | undefined;
  /** What an offset of the source counts. */
  readonly unit: string;
}

const TERMINAL_INTERVAL_MS = 100;
const SPARSE_INTERVAL_MS = 2_000;
const BAR_CELLS = 24;
/** Back to the first column and clear the line. */
const CLEAR_LINE = '\r\u001B[2K';

export class Progress {
  readonly #stderr: Terminal['stderr'];
  readonly #observe: () => ProgressFacts;
  readonly #startMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #isTerminal: boolean;
  #last: { atMs: number; facts: ProgressFacts };
  #isDrawn = false;

  constructor(stderr: Terminal['stderr'], observe: () => ProgressFacts) {
    this.#stderr = stderr;
    this.#observe = observe;
    this.#isTerminal = stderr.isTTY === true;
    this.#last = { atMs: this.#startMs, facts: observe() };
    const interval = this.#isTerminal ? TERMINAL_INTERVAL_MS : SPARSE_INTERVAL_MS;
    this.#timer = setInterval(() => this.#tick(), interval);
    this.#timer.unref();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#clear();
  }

  #tick(): void {
    const atMs = performance.now();
    const facts = this.#observe();
    const seconds = (atMs - this.#last.atMs) / 1000;
    const rates = {
      events: (facts.events - this.#last.facts.events) / seconds,
      checkpoints: (facts.checkpoints - this.#last.facts.checkpoints) / seconds,
    };
    // Over a second or so: rates of a tenth of a second jump too much to be read.
    if (!this.#isTerminal || seconds >= 1) this.#last = { atMs, facts };
    if (this.#isTerminal) {
      this.#clear();
      this.#stderr.write(progressLine(facts, rates, this.#stderr.columns ?? 80));
      this.#isDrawn = true;
    } else {
      this.#stderr.write(`${progressLine(facts, rates, undefined)}\n`);
    }
  }

  #clear(): void {
    if (this.#isDrawn) this.#stderr.write(CLEAR_LINE);
    this.#isDrawn = false;
  }
}

/** @param columns width of the terminal; undefined: no bar and no end of the line */
export function progressLine(
  facts: ProgressFacts,
  rates: { readonly events: number; readonly checkpoints: number },
  columns: number | undefined,
): string {
  const parts: string[] = [];
  const { position, end } = facts;
  if (position !== undefined && end !== undefined && end > 0) {
    const share = Math.min(1, position / end);
    if (columns !== undefined) {
      const filled = Math.floor(share * BAR_CELLS);
      parts.push(`[${'#'.repeat(filled)}${'.'.repeat(BAR_CELLS - filled)}]`);
    }
    parts.push(`${Math.floor(share * 100)}%  ${formatCount(position)} ${facts.unit}`);
  } else {
    parts.push(`${formatCount(facts.events)} events`);
  }
  parts.push(`${formatCount(Math.round(rates.events))} events/s`);
  parts.push(`${formatCount(Math.round(rates.checkpoints))} checkpoints/s`);
  if (facts.durableLag !== undefined)
    parts.push(`${formatCount(facts.durableLag)} ${facts.unit} not yet durable`);
  const line = parts.join('  ');
  return columns === undefined ? line : line.slice(0, Math.max(0, columns - 1));
}
