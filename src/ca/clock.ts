// What this server's clock may date. Agents refuse a CRL whose thisUpdate lies ahead of them, and
// one that has ended, so a wrong clock must never come into a list. Pure: times come in.

import { Fault } from "../base/fault.ts";
import { CLOCK_OFFSET_MAX_MS } from "../cluster/clock.ts";
import { isoTime } from "../host/clock.ts";
import type { CrlValue } from "./record.ts";

/** Stock's lifetime of a CRL in calendar years. */
const CRL_YEARS = 5;
/** A CRL has a certificate for so long after its end: agents whose clocks lag still need it. */
const ENDED_KEPT_MS = 7 * 24 * 3600 * 1000;

/**
 * How sure this server is of its clock: the others' agrees, there are no others, or there are and
 * none answers.
 */
export type ClockTrust = "confirmed" | "alone" | "unconfirmed";

/** What is known of this server's clock. */
export interface ClockView {
  /** This clock minus the others', milliseconds; undefined while nobody answers. */
  offsetMs: number | undefined;
  /** Whether the cluster has other members. */
  hasOthers: boolean;
}

/**
 * How far the clock is to be trusted. `newest`: the newest CRL. Throws Fault `ca.clock-off` when it
 * is off the others', or behind the newest CRL with nobody to say that the CRL is wrong.
 */
export function judgeClock(
  { offsetMs, hasOthers }: ClockView,
  nowMs: number,
  newest: Pick<CrlValue, "number" | "thisUpdate"> | undefined,
): ClockTrust {
  if (offsetMs !== undefined) {
    if (Math.abs(offsetMs) <= CLOCK_OFFSET_MAX_MS) return "confirmed";
    const side = offsetMs > 0 ? "ahead of" : "behind";
    throw clockOff(`${seconds(offsetMs)} s ${side} the others'`, "The other servers sign.");
  }
  const behindMs = newest === undefined ? 0 : Date.parse(newest.thisUpdate) - nowMs;
  if (behindMs > CLOCK_OFFSET_MAX_MS) {
    const what = `${seconds(behindMs)} s behind the date of CRL ${newest?.number ?? 0}`;
    throw clockOff(what, "If this clock is right, another server that agrees lets it sign again.");
  }
  return hasOthers ? "unconfirmed" : "alone";
}

/** The dates of a CRL, and from when on it leaves out what has ended. */
type CrlTimes = Pick<CrlValue, "thisUpdate" | "nextUpdate" | "withoutEndedBefore">;

/**
 * The dates of the CRL that follows `before`. A second ago, so that no agent finds it in the
 * future, and never before `before`, unless that was dated ahead of a clock that others confirm. An
 * unconfirmed clock dates nothing: then it is valid for as long as `before`, and has all it had.
 */
export function crlTimes(nowMs: number, before: CrlTimes | undefined, trust: ClockTrust): CrlTimes {
  if (trust === "unconfirmed" && before !== undefined) {
    const { thisUpdate, nextUpdate, withoutEndedBefore } = before;
    return { thisUpdate, nextUpdate, ...(withoutEndedBefore && { withoutEndedBefore }) };
  }
  const beforeMs = before === undefined ? 0 : Date.parse(before.thisUpdate);
  const ahead = trust === "confirmed" && beforeMs > nowMs + CLOCK_OFFSET_MAX_MS;
  const thisMs = ahead ? nowMs - 1000 : Math.max(nowMs - 1000, beforeMs);
  const next = new Date(thisMs);
  next.setUTCFullYear(next.getUTCFullYear() + CRL_YEARS);
  const withoutEndedBefore = isoSecond(nowMs - ENDED_KEPT_MS);
  return {
    thisUpdate: isoSecond(thisMs),
    nextUpdate: isoSecond(next.getTime()),
    ...(trust === "unconfirmed" ? {} : { withoutEndedBefore }),
  };
}

/** ISO time without a fraction, as certificates and CRLs have it. */
export function isoSecond(ms: number): string {
  return isoTime(wholeSecond(ms));
}

/** Milliseconds without the fraction of a second. */
export function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

function seconds(ms: number): number {
  return Math.round(Math.abs(ms) / 1000);
}

function clockOff(what: string, hint: string): Fault {
  return new Fault("ca.clock-off", `this server's clock is ${what}: it signs nothing`, {
    hints: [`${hint} Set the clock: timedatectl, chronyc makestep.`],
  });
}
