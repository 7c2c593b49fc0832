// One answer for all who ask at the same moment. The idea: an answer counts only for those who had
// asked before it was sought, so whoever comes while one is being sought waits for the next.

/**
 * `work`, run once for everybody who calls while it runs: a call gets what a run came to that began
 * after it. A run that fails does so for those who share it, and for no others.
 */
export function shareNext<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> | undefined;
  let next: Promise<T> | undefined;
  const start = () => {
    const run = work();
    const over = run.then(
      () => undefined,
      () => undefined,
    );
    running = over.then(() => {
      if (next === undefined) running = undefined;
    });
    return run;
  };
  return () => {
    if (running === undefined) return start();
    next ??= running.then(() => {
      next = undefined;
      return start();
    });
    return next;
  };
}
