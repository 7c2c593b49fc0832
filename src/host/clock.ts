// The only place that reads a clock. Wall time is for people, certificates and the record;
// anything that measures or expires inside a process uses monotonic time.

/** Milliseconds since the epoch. */
export function wallMs(): number {
  return Date.now();
}

/** Milliseconds that only grow, from an arbitrary start. Does not count suspend. */
export function monotonicMs(): number {
  return performance.now();
}

/** Milliseconds since boot: the same clock for every process on this server. */
export function bootMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** `ms` as the record and JSON outputs write it: 2026-11-20T10:00:00.000Z. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
