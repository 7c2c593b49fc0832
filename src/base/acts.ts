// What loops planned last and why, so that somebody can ask for the reasons later: in memory,
// bounded, the same again and again counted instead of kept.

import { z } from "zod";

/** How many are kept of one loop, so that a busy one leaves the others theirs. */
const ACTS_PER_LOOP_MAX = 40;
const LOOPS_MAX = 50;
const TEXT_MAX = 300;

/** One thing that a loop did, or waits with, and why. */
export const Act = z.object({
  loop: z.string(),
  do: z.string(),
  because: z.string(),
  /** When first and last, milliseconds since the epoch, and how often. */
  atMs: z.number(),
  lastMs: z.number(),
  times: z.int(),
});
export type Act = z.infer<typeof Act>;

export interface Acts {
  /** Keeps what a loop planned; nothing where nothing was to do. */
  note(loop: string, planned: readonly { do: string; because: string }[]): void;
  /** All that are kept, oldest first. */
  list(): Act[];
}

export function createActs(wallMs: () => number): Acts {
  const loops = new Map<string, Act[]>();
  return {
    note(loop, planned) {
      const acts = loops.get(loop) ?? [];
      if (!loops.has(loop) && loops.size >= LOOPS_MAX) return;
      loops.set(loop, acts);
      for (const each of planned) {
        const because = each.because.slice(0, TEXT_MAX);
        const nowMs = wallMs();
        // A plan of several acts may come again as a whole.
        const same = acts
          .slice(-planned.length)
          .find((one) => one.do === each.do && one.because === because);
        if (same === undefined) {
          acts.push({ loop, do: each.do, because, atMs: nowMs, lastMs: nowMs, times: 1 });
        } else {
          same.lastMs = nowMs;
          same.times += 1;
        }
      }
      acts.splice(0, Math.max(0, acts.length - ACTS_PER_LOOP_MAX));
    },
    list: () => [...loops.values()].flat().toSorted((a, b) => a.lastMs - b.lastMs),
  };
}
