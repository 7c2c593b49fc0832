// How far members' clocks are apart, and what that means. Pure: times come in. A wrong clock breaks
// what is dated: certificates and CRLs, which others then refuse, and whatever ends at a time.

import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { warning, type Warning } from "./warning.ts";

/** A clock further off than this dates nothing, milliseconds. */
export const CLOCK_OFFSET_MAX_MS = 60_000;
/** From here on it is warned of: there is time to set it before anything is refused. */
export const CLOCK_OFFSET_WARN_MS = 10_000;

/** What a member knows of its clock, milliseconds. */
export const ClockStatus = z.object({
  /** How far it is off where most clocks stand; absent while nobody answers. */
  offsetMs: z.number().optional(),
  /** How far it is off each other member's that answered lately. */
  others: z.array(z.object({ id: z.string(), offsetMs: z.number() })),
});
export type ClockStatus = z.infer<typeof ClockStatus>;

/**
 * How far this clock is off where most clocks stand, this one among them, milliseconds. `offsets`:
 * this clock minus each other's that answers. Where they are split in halves, nobody knows which is
 * right, and the farther middle counts. Undefined while nobody answers.
 */
export function clockOffsetMs(offsets: readonly number[]): number | undefined {
  if (offsets.length === 0) return undefined;
  const { low, high } = middlesOf(offsets);
  return Math.abs(low) > Math.abs(high) ? low : high;
}

/** The same for telling times rather than trusting a clock: of two halves this one's is right. */
export function nearOffsetMs(offsets: readonly number[]): number {
  const { low, high } = middlesOf(offsets);
  return Math.abs(low) < Math.abs(high) ? low : high;
}

function middlesOf(offsets: readonly number[]): { low: number; high: number } {
  const sorted = [0, ...offsets].toSorted((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  const high = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return { low, high };
}

/** `right`: nothing to say; `off`: to be looked at; `wrong`: it dates nothing. */
export type ClockState = "right" | "off" | "wrong";

export function judgeOffset(offsetMs: number): ClockState {
  if (Math.abs(offsetMs) > CLOCK_OFFSET_MAX_MS) return "wrong";
  return Math.abs(offsetMs) > CLOCK_OFFSET_WARN_MS ? "off" : "right";
}

/** What is to be said of a member's clock; nothing while it is right, or nobody can tell. */
export function clockWarning(id: string, offsetMs: number | undefined): Warning | undefined {
  if (offsetMs === undefined) return undefined;
  const state = judgeOffset(offsetMs);
  if (state === "right") return undefined;
  const most = `${CLOCK_OFFSET_MAX_MS / 1000} s`;
  const then =
    state === "wrong"
      ? "it signs nothing, admits nobody and makes no tokens"
      : `from ${most} on it signs nothing`;
  const text = `${id}'s clock is ${renderOffset(offsetMs)} the others': ${then}. There: chronyc makestep, or timedatectl.`;
  return warning(state === "wrong" ? "clock-wrong" : "clock-off", id, text);
}

/** "12 s ahead of", "12 s behind". */
export function renderOffset(offsetMs: number): string {
  const side = offsetMs > 0 ? "ahead of" : "behind";
  return `${Math.round(Math.abs(offsetMs) / 1000)} s ${side}`;
}

/** Throws Fault `cluster.clock-off` where a clock is too wrong for `what`. */
export function requireClock(offsetMs: number | undefined, what: string): void {
  if (offsetMs === undefined || judgeOffset(offsetMs) !== "wrong") return;
  throw new Fault(
    "cluster.clock-off",
    `this server's clock is ${renderOffset(offsetMs)} the others': ${what}`,
    { hints: ["Set it: chronyc makestep, or timedatectl. Or ask another server."] },
  );
}
