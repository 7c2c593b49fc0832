// Which PuppetDB answers queries. Pure. The idea: one that lacks what was acknowledged would have
// agents purge what they should keep, so it answers nothing until it has everything that it missed;
// and once one answers it goes on, since another may be a moment behind.

import type { SyncStatus } from "../cluster/sync-status.ts";
import type { Health } from "./puppetdb-client.ts";

/** How far a courier's commands have come towards a PuppetDB. */
export interface Backlog {
  /** Whether it has all that was there when it was last down, or when this courier started. */
  caughtUp: boolean;
  /** Commands that it doesn't have yet. */
  commands: number;
  /** How long the oldest of them has waited, milliseconds. */
  oldestMs: number;
}

/** A PuppetDB that lets commands wait for longer is behind. */
export const BEHIND_MS = 60_000;

export interface Judged {
  fit: boolean;
  /** Why it isn't; empty when it is. */
  because: string;
}

/**
 * Judges one PuppetDB: by its own word, by this courier's commands, and by those of the couriers
 * that can be reached. Undefined: a courier that hasn't said.
 */
export function judgeFit(
  health: Health,
  own: Backlog,
  others: readonly { id: string; backlog: Backlog | undefined }[],
): Judged {
  const unfit = (because: string): Judged => ({ fit: false, because });
  if (!health.readable || !health.writable) return unfit(health.because);
  const all = [{ id: "", backlog: own }, ...others];
  for (const { id, backlog } of all) {
    if (backlog === undefined) continue;
    const whose = id === "" ? "" : ` of ${id}'s courier`;
    if (!backlog.caughtUp) return unfit(`it lacks ${backlog.commands} commands${whose} still`);
    if (backlog.oldestMs > BEHIND_MS) {
      const seconds = Math.round(backlog.oldestMs / 1000);
      return unfit(`it is ${backlog.commands} commands${whose} behind, by ${seconds} s`);
    }
  }
  return { fit: true, because: "" };
}

/**
 * Judges it further, by the sync of its own server's courier. `filling`: it answers only when a
 * comparison has found that it lacks nothing. Undefined: that courier doesn't say.
 */
export function judgeSynced(
  judged: Judged,
  {
    filling,
    sync,
  }: { filling: boolean; sync: Pick<SyncStatus, "standing" | "because"> | undefined },
): Judged {
  if (!judged.fit) return judged;
  const isFilled = sync?.standing === "level";
  const because = sync?.because ?? "";
  if (filling && !isFilled) {
    return {
      fit: false,
      because: `it is filling: ${because === "" ? "not compared yet" : because}`,
    };
  }
  return because === "" ? judged : { fit: false, because };
}

/** Whether a PuppetDB is the one to ask: fit, and not one to `avoid` while another is fit. */
export function preferred(
  order: readonly string[],
  avoid: readonly string[],
  isFit: (id: string) => boolean,
): (id: string) => boolean {
  const others = order.some((id) => !avoid.includes(id) && isFit(id));
  return (id) => isFit(id) && !(others && avoid.includes(id));
}

/** A PuppetDB that queries go to, and when a courier decided that; milliseconds since the epoch. */
export interface Choice {
  id: string;
  atMs: number;
}

/**
 * The PuppetDB that queries go to: the one that somebody wants them at, else the one that was
 * decided on last, here or at another courier, so that all use the same; else the first of `order`.
 * Each only where it is fit. Undefined: none is.
 */
export function chooseForQueries(
  order: readonly string[],
  isFit: (id: string) => boolean,
  used: {
    /** By an order that hasn't been followed yet. */
    told: string | undefined;
    here: Choice | undefined;
    elsewhere: readonly Choice[];
    nowMs: number;
  },
): Choice | undefined {
  const { told, here, elsewhere, nowMs } = used;
  const usable = (id: string) => order.includes(id) && isFit(id);
  if (told !== undefined && usable(told)) return { id: told, atMs: nowMs };
  const known = [...(here === undefined ? [] : [here]), ...elsewhere];
  const latest = known
    .filter(({ id }) => usable(id))
    .toSorted((a, b) => b.atMs - a.atMs || order.indexOf(a.id) - order.indexOf(b.id))[0];
  if (latest !== undefined) return latest;
  const id = order.find(isFit);
  return id === undefined ? undefined : { id, atMs: nowMs };
}
