// When this server's PuppetDB is compared with the others, and whether it may answer before that.
// Pure. The rule: one that was down answers when it has been compared with another one that
// answers. While none does, the couriers' word is enough: they keep a command until every PuppetDB
// has it. But what a comparison has found missing is never forgotten for that.

import type { SyncStatus } from "../../cluster/sync-status.ts";

/** Nobody else has answered for so long: it is alone. */
export const ALONE_MS = 15_000;
/** Others answer, and no comparison has come through for so long. */
export const UNCOMPARED_MS_MAX = 300_000;
export const EVERY_MS = 600_000;
/** After a round that failed; twice as long after the next, up to EVERY_MS. */
export const AGAIN_MS = 10_000;
/** At most, while it may answer no queries for it. */
export const OPEN_AGAIN_MS_MAX = 60_000;

export interface SyncSight {
  standing: SyncStatus["standing"];
  /** Whether another PuppetDB answers now that isn't being filled itself. */
  others: boolean;
  /** Whether it may answer queries only after a comparison, whatever the couriers say. */
  filling: boolean;
  /** Why it can't be compared now, such as commands that wait for it; empty: it can. */
  notReady: string;
  /** For how long no other one has answered, and for how long it could be compared, milliseconds. */
  aloneMs: number;
  readyMs: number;
  /** Since the last round ended; undefined: there was none since the courier started. */
  sinceMs: number | undefined;
  /** How many rounds have failed in a row. */
  failures: number;
  /** Whether a comparison is owed: it answers without one, or seems to have lost something. */
  owed: boolean;
  /** Whether an administrator asks for one. */
  asked: boolean;
}

/** `trust`: it counts as level on the couriers' word. `every`: compare every single report. */
export type SyncAct =
  | { do: "round"; by: "start" | "timer" | "hand"; every: boolean }
  | { do: "trust"; because: string }
  | { do: "wait" };

export function decideSync(sight: SyncSight): SyncAct {
  const { standing, others, sinceMs } = sight;
  if (sight.notReady !== "") return { do: "wait" };
  if (standing === "unknown" && !sight.filling) {
    if (!others && sight.aloneMs >= ALONE_MS) {
      return { do: "trust", because: "no other PuppetDB answers" };
    }
    if (sight.readyMs >= UNCOMPARED_MS_MAX) {
      return { do: "trust", because: "it can't be compared with any that answers" };
    }
  }
  if (!others) return { do: "wait" };
  if (sight.asked) return { do: "round", by: "hand", every: true };
  if (sinceMs === undefined) return { do: "round", by: "start", every: standing !== "level" };
  const isOpen = standing !== "level" || sight.owed;
  if (sinceMs < pauseMs(sight.failures, isOpen)) return { do: "wait" };
  return isOpen
    ? { do: "round", by: "start", every: true }
    : { do: "round", by: "timer", every: false };
}

function pauseMs(failures: number, isOpen: boolean): number {
  if (failures === 0) return isOpen ? 0 : EVERY_MS;
  return Math.min(isOpen ? OPEN_AGAIN_MS_MAX : EVERY_MS, AGAIN_MS * 2 ** (failures - 1));
}

/**
 * What a comparison of nodes makes of a PuppetDB. `lacks`: how many queries miss; `isLevel`:
 * nothing is left to bring; `accepted`: an administrator takes it as it is. Undefined: nothing new.
 */
export function standingAfter(found: {
  lacks: number;
  isLevel: boolean;
  accepted: boolean;
}): "lacks" | "level" | undefined {
  if (found.isLevel) return "level";
  return found.lacks > 0 && !found.accepted ? "lacks" : undefined;
}

/**
 * Why a PuppetDB may not answer for what is known of its sync; empty: it may. `isSole`: there is no
 * other one; `isMeasure`: the others are being filled, by what it has.
 */
export function judgeStanding(
  standing: SyncStatus["standing"],
  { lacks, isSole, isMeasure }: { lacks: number; isSole: boolean; isMeasure: boolean },
): string {
  if (standing === "level" || isSole) return "";
  if (standing === "unknown" && isMeasure) return "";
  if (standing === "lacks") return `it lacks ${lacks} nodes that another PuppetDB has`;
  return "it isn't compared with the others since it was last down";
}
