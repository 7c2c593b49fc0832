// Work that is dear and must not run beside itself. The idea: a few may wait their turn, and
// whoever comes then is turned away at once instead of waiting behind all of them.

/**
 * Runs what it is given one after the other, whatever the one before came to. A call throws what
 * `refuse` gives while one runs and `waitingMax` wait.
 */
export function oneAtATime(
  waitingMax: number,
  refuse: () => Error,
): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let under = 0;
  return async (work) => {
    if (under > waitingMax) throw refuse();
    under += 1;
    const run = last.then(work).finally(() => (under -= 1));
    last = run.catch(() => undefined);
    return run;
  };
}
