// Which PuppetDB answers queries. Pure. The idea: one that lacks what was acknowledged would have
// agents purge what they should keep, so it answers nothing until it has everything that it missed;
// and once one answers it goes on, since another may be a moment behind.

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
 * The PuppetDB that queries go to: the one that somebody wants them at, else the one so far while
 * it is fit, else the one that other couriers use, else the first fit one of `order`. Undefined:
 * none is.
 */
export function chooseForQueries(
  order: readonly string[],
  isFit: (id: string) => boolean,
  used: {
    /** By an order that hasn't been followed yet. */
    told: string | undefined;
    here: string | undefined;
    elsewhere: readonly (string | undefined)[];
  },
): string | undefined {
  const wanted = [used.told, used.here, ...used.elsewhere].filter((id) => id !== undefined);
  return [...wanted.filter((id) => order.includes(id)), ...order].find(isFit);
}
