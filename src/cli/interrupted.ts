// Ctrl-C for commands that only watch what goes on without them: they end in order, and say what is
// so. The second one ends the program at once.

/** Aborts at the first Ctrl-C, request to end, or loss of the terminal. */
export function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(name, () => controller.abort());
  }
  return controller.signal;
}
