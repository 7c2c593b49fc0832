// How much work edges had for puppetservers, half hour by half hour: agents spread their runs over
// that. The measure is the mean number of requests that were worked on or waited, so a load of 3
// keeps three JRubies busy all the time. Pure.

import { z } from "zod";

/** Half an hour: Puppet's run interval. */
export const SLOT_MS = 1_800_000;
/** A day of them. */
export const SLOTS = 48;

/** What one edge had (in its member's status). */
export const EdgeLoad = z.object({
  /** The slot that is going on: whole half hours since the epoch. */
  slot: z.int(),
  /** Mean of what it has seen of the slot that is going on. */
  now: z.number(),
  /** The slots before it, newest first; null where it wasn't looked at. */
  past: z.array(z.number().nullable()).max(SLOTS),
});
export type EdgeLoad = z.infer<typeof EdgeLoad>;

/** A load at some time of the last day. */
export interface Busiest {
  load: number;
  /** When its half hour began, milliseconds since the epoch. */
  fromMs: number;
}

/** What all edges had together in the busiest half hour that has ended; undefined: none has. */
export function busiestOf(loads: readonly EdgeLoad[]): Busiest | undefined {
  const newest = Math.max(...loads.map(({ slot }) => slot));
  let busiest: Busiest | undefined;
  for (let back = 1; back <= SLOTS; back++) {
    const slot = newest - back;
    const seen = loads.map((each) => each.past[each.slot - 1 - slot] ?? null);
    if (seen.every((load) => load === null)) continue;
    const load = seen.reduce<number>((sum, each) => sum + (each ?? 0), 0);
    if (load >= (busiest?.load ?? 0)) busiest = { load, fromMs: slot * SLOT_MS };
  }
  return busiest;
}
