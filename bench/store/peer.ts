/**
 * A process that answers requests one after the other. Between them it can be paused: whatever it does in the
 * background then falls into its own time, and not into that of the process that is asked next.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

const running = new Set<ChildProcess>();

// A paused process does not notice that its parent has gone.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Peer<Request extends object> {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(module: URL) {
    this.#child = fork(module, {
      serialization: 'advanced',
      execArgv: [...process.execArgv, '--disable-warning=ExperimentalWarning'],
    });
    running.add(this.#child);
    this.#closed = once(this.#child, 'close').then(() => running.delete(this.#child));
  }

  /** @throws Error when the process ends without an answer; what it failed with is on stderr */
  async ask<Reply>(request: Request): Promise<Reply> {
    const answered = once(this.#child, 'message') as Promise<[{ readonly value: Reply }]>;
    // A process that ends before it reads the request is reported below.
    this.#child.send(request, () => undefined);
    const answer = await Promise.race([answered, this.#closed.then(() => undefined)]);
    if (answer === undefined) throw new Error(`a run failed: ${JSON.stringify(request)}`);
    return answer[0].value;
  }

  /** Windows knows no such signals, and would end the process. */
  pause(): void {
    if (process.platform !== 'win32') this.#child.kill('SIGSTOP');
  }

  resume(): void {
    if (process.platform !== 'win32') this.#child.kill('SIGCONT');
  }

  /** Ends it as a crash would: nothing is closed. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}

/** The process's side. */
export function answerRequests<Request, Reply>(serve: (request: Request) => Promise<Reply>): void {
  process.on('message', (request) => {
    serve(request as Request).then(
      (value) => process.send?.({ value }),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
        process.exit(1);
      },
    );
  });
  process.once('disconnect', () => process.exit(1));
}
