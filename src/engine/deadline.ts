/** A promise that may never settle, and what is thrown when it has not in time or is not wanted any more. */

/** Leaves no timer and no listener behind. @throws what `promise` rejects with; `late()` after `ms`; the reason of `signal` */
export async function withDeadline<Value>(
  promise: Promise<Value>,
  ms: number,
  late: () => Error,
  signal?: AbortSignal,
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = (): void => undefined;
  const end = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late()), ms);
    // Whatever the caller gave, as Node.js does.
    onAbort = () => reject(signal?.reason as Error);
    // An abort that came before is not told to who listens only now.
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([promise, end]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}
