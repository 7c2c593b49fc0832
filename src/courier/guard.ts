// Whether a PuppetDB has lost what it had. Pure. The idea: a look at its figures is compared with
// the last good one; ordinary shrinking is small between two looks, or known to be meant. Danger:
// one that has shrunk and fills up again lacks the rest until the end, so it must come back whole.

import { z } from "zod";
import { isoTime } from "../host/clock.ts";

/** One look at a PuppetDB. */
export const Counts = z.object({
  /** Nodes that are neither deactivated nor expired. */
  active: z.int(),
  deactivated: z.int(),
  /** Nodes that couriers have deleted from it, ever. */
  deleted: z.int(),
  /** Exported resources of active nodes. */
  exported: z.int(),
  /** Catalogs, of whatever nodes. */
  catalogs: z.int(),
  /** Half of its catalogs are of this time or newer, milliseconds since the epoch; 0: it has none. */
  halfSinceMs: z.number(),
});
export type Counts = z.infer<typeof Counts>;

/** What is remembered of a PuppetDB. */
export const Memory = z.object({
  /** The last look that was good. */
  good: Counts,
  /** What it has lost since, in words; empty: nothing. */
  shrunk: z.string(),
  /** The newest `accept` that it follows. */
  accepted: z.string().optional(),
});
export type Memory = z.infer<typeof Memory>;

/** Catalogs only get newer: one that goes back further was replaced by an older state. */
const BACK_MS = 3_600_000;
/** With fewer nodes the age of the middle one says nothing. */
const HALF_NODES_MIN = 10;
/** So few exported resources come and go with one catalog. */
const EXPORTED_LOST_MAX = 10;

/** How many of `nodes` may vanish between two looks: a hand's work on a small site, a tenth else. */
export function tolerated(nodes: number): number {
  return Math.max(Math.floor(Math.sqrt(nodes)), Math.floor(nodes / 10));
}

/**
 * What is remembered after a look. `accepted`: the newest order to take it as it is. `others`:
 * looks at other PuppetDBs that have lost nothing.
 */
export function follow(
  memory: Memory | undefined,
  now: Counts,
  { accepted, others }: { accepted: string | undefined; others: readonly Counts[] },
): Memory {
  const mark = accepted === undefined ? {} : { accepted };
  if (memory === undefined || isOrderedAnew(memory, accepted)) {
    return { good: now, shrunk: "", ...mark };
  }
  const shrunk = describeLoss(memory.good, now, { before: memory.shrunk !== "", others });
  return shrunk === "" ? { good: now, shrunk, ...mark } : { ...memory, shrunk };
}

/**
 * The memory to go on with: this courier's own, else that of another one. One that hasn't followed
 * the newest order counts only where nobody has.
 */
export function recall(
  own: Memory | undefined,
  others: readonly Memory[],
  accepted: string | undefined,
): Memory | undefined {
  const known = [...(own === undefined ? [] : [own]), ...others];
  return known.find((memory) => !isOrderedAnew(memory, accepted)) ?? own;
}

function isOrderedAnew(memory: Memory, accepted: string | undefined): boolean {
  return accepted !== undefined && memory.accepted !== accepted;
}

/** What `now` lacks of `good`, in words; empty: nothing. `before`: it lacked something already. */
function describeLoss(
  good: Counts,
  now: Counts,
  { before, others }: { before: boolean; others: readonly Counts[] },
): string {
  const meant =
    Math.max(0, now.deactivated - good.deactivated) + Math.max(0, now.deleted - good.deleted);
  const lost = good.active - now.active - meant;
  const all = now.active === 0 && lost > 0;
  if (all || lost > (before ? 0 : tolerated(good.active))) {
    return `it has ${now.active} of the ${good.active} nodes that it had`;
  }
  const mayBeDeleted = now.catalogs > good.catalogs || now.deleted > good.deleted;
  if (good.catalogs >= HALF_NODES_MIN && !mayBeDeleted) {
    const backMs = good.halfSinceMs - now.halfSinceMs;
    if (backMs > BACK_MS) {
      const [was, is] = [good.halfSinceMs, now.halfSinceMs].map(isoTime);
      return `its catalogs went back in time: half of them were newer than ${was}, now than ${is}`;
    }
  }
  // What the nodes exported that were taken out isn't known. What another PuppetDB says too, the
  // catalogs say: both get all of them.
  const agreed = others.some((other) => !isFewer(other.exported, now.exported));
  if (meant === 0 && !agreed && isFewer(good.exported, now.exported)) {
    return `it has ${now.exported} of the ${good.exported} exported resources that it had`;
  }
  return "";
}

function isFewer(before: number, now: number): boolean {
  return before - now > Math.max(EXPORTED_LOST_MAX, before / 2);
}
