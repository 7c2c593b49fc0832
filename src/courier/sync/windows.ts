// Reports are compared window by window: their number first, then one by one where that differs, in
// windows that fit into the memory. Pure.

import { KEEP_MS } from "./plan.ts";
import type { Window } from "./summary.ts";

const DAY_MS = 86_400_000;
/** Reports that are compared at once; some ten megabytes of hashes. */
export const WINDOW_REPORTS_MAX = 50_000;
/** PuppetDB's timestamps are no finer. */
const FINEST_MS = 1;

/** The days up to `settledMs` that are compared, the newest first: it is asked for most. */
export function reportWindows(nowMs: number, settledMs: number): Window[] {
  const [oldest, newest] = [nowMs - KEEP_MS, settledMs];
  const windows: Window[] = [];
  for (let toMs = newest; toMs > oldest;) {
    const midnight = Math.ceil(toMs / DAY_MS) * DAY_MS - DAY_MS;
    const fromMs = Math.max(oldest, midnight);
    windows.push({ fromMs, toMs });
    toMs = fromMs;
  }
  return windows;
}

/**
 * What the numbers of reports in a window mean. `every`: compare also where they are equal, since
 * each may lack what the other has.
 */
export function judgeWindow(
  { fromMs, toMs }: Window,
  counts: { here: number; there: number },
  every: boolean,
): "level" | "split" | "compare" {
  const { here, there } = counts;
  if (there === 0 || (here === there && !every)) return "level";
  if (Math.max(here, there) <= WINDOW_REPORTS_MAX || toMs - fromMs <= FINEST_MS) return "compare";
  return "split";
}

/** Two halves, the newer one first. */
export function splitWindow({ fromMs, toMs }: Window): [Window, Window] {
  const middle = Math.floor((fromMs + toMs) / 2);
  return [
    { fromMs: middle, toMs },
    { fromMs, toMs: middle },
  ];
}
