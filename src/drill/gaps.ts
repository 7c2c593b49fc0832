// How long an address did not answer, from many short connection attempts. Pure.

/** One attempt: when it was begun and when it ended, in ms of one clock. */
export interface Attempt {
  startMs: number;
  endMs: number;
  ok: boolean;
}

/** A time in which attempts failed: last success before it → first success after it. */
export interface Gap {
  fromMs: number;
  /** Absent when nothing succeeded any more. */
  toMs?: number;
  /** Its length; without `toMs` until the last attempt ended. */
  ms: number;
  /** Attempts begun in it that failed. */
  failed: number;
}

/**
 * Gaps between successes in which at least one attempt was begun that failed. A success counts at
 * its end, when the answer was there. Without failures there is no gap: the prober was slow then.
 */
export function findGaps(attempts: readonly Attempt[]): Gap[] {
  const successes = attempts
    .filter(({ ok }) => ok)
    .map(({ endMs }) => endMs)
    .sort((a, b) => a - b);
  const failures = attempts.filter(({ ok }) => !ok).sort((a, b) => a.startMs - b.startMs);
  const gaps: Gap[] = [];
  let after = 0;
  for (const failure of failures) {
    while ((successes[after] ?? Infinity) <= failure.startMs) after += 1;
    const fromMs = successes[after - 1] ?? failures[0]?.startMs ?? failure.startMs;
    const gap = gaps.at(-1);
    if (gap !== undefined && gap.fromMs === fromMs) gap.failed += 1;
    else gaps.push(gapFrom(fromMs, successes[after], failure.endMs));
  }
  const last = gaps.at(-1);
  if (last !== undefined && last.toMs === undefined) {
    last.ms = failures.reduce((end, { endMs }) => Math.max(end, endMs), 0) - last.fromMs;
  }
  return gaps;
}

/** The longest gap in ms, 0 without one. */
export function longestGapMs(gaps: readonly Gap[]): number {
  return gaps.reduce((longest, gap) => Math.max(longest, gap.ms), 0);
}

function gapFrom(fromMs: number, toMs: number | undefined, endMs: number): Gap {
  if (toMs === undefined) return { fromMs, ms: endMs - fromMs, failed: 1 };
  return { fromMs, toMs, ms: toMs - fromMs, failed: 1 };
}
