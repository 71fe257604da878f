/**
 * Runs of which each needs a process of its own, so that none inherits another's memory or its compiled
 * code. The parent sends one request, the child answers with one outcome and ends.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';

/** @throws Error when the child ends without an outcome; what it failed with is on stderr */
export async function runChild<Request, Outcome>(module: URL, request: Request): Promise<Outcome> {
  const child = fork(module, { serialization: 'advanced' });
  let outcome: { readonly value: Outcome } | undefined;
  child.on('message', (message) => {
    outcome = { value: message as Outcome };
  });
  // A child that ends before it reads the request is reported below.
  child.send(request as object, () => undefined);
  await once(child, 'close');
  if (outcome === undefined) throw new Error(`a run failed: ${JSON.stringify(request)}`);
  return outcome.value;
}

/** The child's side. */
export function answerRequest<Request, Outcome>(run: (request: Request) => Promise<Outcome>): void {
  process.once('message', (request) => {
    run(request as Request).then(
      (outcome) => process.send?.(outcome, () => process.disconnect()),
      (error: unknown) => {
        process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
        process.exit(1);
      },
    );
  });
}
