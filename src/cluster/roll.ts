// What a roll does next. Pure: the roll as the record has it, and what is seen of its server, in;
// one action out. The idea: everything that counts is in the record or can be seen, so that whoever
// leads goes on where another one stopped, at any point. Danger: two may drive it for a moment;
// each change compares the step that it was decided on, and an act that was done isn't done again.

import { renderDuration } from "../base/duration.ts";
import { isoTime } from "../host/clock.ts";
import type { Roll, RollStep } from "./work.ts";

/** How long its running requests are waited for: an agent waits for none longer. */
export const DRAIN_MS = 600_000;
/** puppetserver starts in 20 s alone, in two minutes on a busy server; systemd gives it 300 s. */
export const ACT_MS = 360_000;
/** From when it was started until it answers, and until every edge sends it requests. */
export const RETURN_MS = 300_000;
export const BACK_MS = 120_000;
/** How long there may be nobody else who takes requests, and no answer of a daemon. */
export const PATIENCE_MS = 60_000;
/** A puppetserver that loads by itself is drained and reloaded in less. */
export const LOADING_MS = 900_000;
/** For how long a server stays drained when nobody drives the roll any more. */
export const DRIVEN_MS = 120_000;

/** What is seen of the roll's server, or of the next one. */
export interface RollSeen {
  /** Whether it is a member that stays. */
  member: boolean;
  /** puppetserver's unit; undefined while its daemon doesn't answer. */
  unit: { active: string; result: string; invocation: string } | undefined;
  /** Whether an edge that answers gives it new requests. */
  sent: boolean;
  /** Requests that run there. */
  running: number;
  /** Why it isn't fit to get requests again; empty when it is. */
  unwell: string;
  /** Whether every edge that answers sends it requests, unless it isn't to get any. */
  back: boolean;
  /** Puppetservers of other members that get requests. */
  others: number;
  /** Another member whose puppetserver loads something by itself now; empty: none. */
  busyElsewhere: string;
}

export type RollAction =
  | { do: "begin"; id: string; was: string; because: string }
  | { do: "advance"; step: RollStep; note?: string; because: string }
  /** What the roll is for, at its server. */
  | { do: "act"; because: string }
  | { do: "finish"; note?: string; because: string }
  | { do: "skip"; id: string; because: string }
  | { do: "renew"; because: string }
  | { do: "end"; how: "done" | "stopped" | "halted"; because: string };

/**
 * Whoever drove it has been away, and edges have sent its server requests again: what was seen of
 * it before counts no more.
 */
const DRAIN_ANEW: RollAction = {
  do: "advance",
  step: "drain",
  because: "its drain had ended meanwhile",
};

/** The member that the roll is at, or comes to next; undefined: none is left. */
export function rollTarget({ ids, done, now }: Roll): string | undefined {
  return now?.id ?? ids.find((id) => !done.some((each) => each.id === id));
}

/** What is to be done now; undefined: to wait. */
export function planRoll(roll: Roll, seen: RollSeen, nowMs: number): RollAction | undefined {
  if (roll.end !== undefined) return undefined;
  if (roll.now === undefined) return planNext(roll, seen, nowMs);
  if (!seen.member) return { do: "finish", note: "it was removed", because: "it is no member" };
  const action = planStep(roll, roll.now, seen, nowMs);
  if (action !== undefined || roll.now.step === "back") return action;
  if (Date.parse(roll.until) - nowMs > DRIVEN_MS / 2) return undefined;
  return { do: "renew", because: "it must not end while it is driven" };
}

function planNext(roll: Roll, seen: RollSeen, nowMs: number): RollAction | undefined {
  const id = rollTarget(roll);
  if (id === undefined) return { do: "end", how: "done", because: "every server is done" };
  if (roll.stop) return stopped(roll);
  if (!seen.member) return { do: "skip", id, because: "it is no member any more" };
  const idleMs = nowMs - Date.parse(roll.done.at(-1)?.at ?? roll.at);
  if (seen.busyElsewhere !== "") {
    return idleMs < LOADING_MS
      ? undefined
      : halt(`${seen.busyElsewhere}'s is loading for too long`);
  }
  const lacks = whatLacks(roll, seen);
  if (lacks !== "") return idleMs < PATIENCE_MS ? undefined : halt(`${id}: ${lacks}`);
  const was = seen.unit?.invocation ?? "";
  return { do: "begin", id, was, because: "it is the next one" };
}

/** Why a server may not be taken out now. */
function whatLacks({ force }: Roll, { others, unit }: RollSeen): string {
  if (unit === undefined) return "its daemon doesn't answer";
  return others === 0 && !force ? "no other puppetserver gets requests" : "";
}

function planStep(
  roll: Roll,
  now: NonNullable<Roll["now"]>,
  seen: RollSeen,
  nowMs: number,
): RollAction | undefined {
  const forMs = nowMs - Date.parse(now.since);
  const lapsed = Date.parse(roll.until) <= nowMs;
  switch (now.step) {
    case "drain":
      return lapsed ? DRAIN_ANEW : planDrainStep(roll, seen, forMs);
    case "act":
      return planAct(now.was, seen, { forMs, lapsed });
    case "return": {
      if (seen.unit?.active === "failed") return halt(failed(seen.unit.result));
      if (seen.unwell === "") return { do: "advance", step: "back", because: "it answers again" };
      return forMs < RETURN_MS ? undefined : halt(late("doesn't answer", RETURN_MS, seen.unwell));
    }
    case "back": {
      if (seen.back) return { do: "finish", because: "edges send it requests again" };
      return forMs < BACK_MS ? undefined : halt(late("gets no requests", BACK_MS, seen.unwell));
    }
  }
}

function planDrainStep(roll: Roll, seen: RollSeen, forMs: number): RollAction | undefined {
  if (roll.stop) return stopped(roll);
  const lacks = whatLacks(roll, seen);
  if (lacks !== "") return forMs < PATIENCE_MS ? undefined : halt(lacks);
  if (!seen.sent && seen.running === 0) {
    return { do: "advance", step: "act", because: "nothing runs there" };
  }
  if (forMs < DRAIN_MS) return undefined;
  const note = `${seen.running} requests still ran after ${renderDuration(DRAIN_MS / 1000)}`;
  return { do: "advance", step: "act", note, because: note };
}

function planAct(
  was: string,
  { unit }: RollSeen,
  { forMs, lapsed }: { forMs: number; lapsed: boolean },
): RollAction | undefined {
  const isLate = forMs >= ACT_MS;
  if (unit === undefined) {
    return isLate ? halt(late("doesn't come back", ACT_MS, "its daemon is silent")) : undefined;
  }
  const { active, result, invocation } = unit;
  if (invocation !== was) {
    if (active === "active") return { do: "advance", step: "return", because: "it has started" };
    if (active === "failed") return halt(failed(result));
    return isLate ? halt(late("doesn't start", ACT_MS, `its unit is ${active}`)) : undefined;
  }
  if (isLate) return halt(late("doesn't restart", ACT_MS, `its unit is ${active}`));
  if (lapsed) return DRAIN_ANEW;
  if (active === "deactivating" || active === "activating") return undefined;
  return { do: "act", because: "nothing runs there" };
}

/** The roll with what `action` makes of it. */
export function withAction(roll: Roll, action: RollAction, nowMs: number): Roll {
  const at = isoTime(nowMs);
  const until = isoTime(nowMs + DRIVEN_MS);
  const { now, ...rest } = roll;
  const done = (id: string, note = "") => [...roll.done, { id, at, note }];
  switch (action.do) {
    case "begin": {
      const { id, was } = action;
      return { ...roll, until, now: { id, step: "drain", since: at, was, note: "" } };
    }
    case "advance": {
      if (now === undefined) return roll;
      const note = action.note ?? now.note;
      return { ...roll, until, now: { ...now, step: action.step, since: at, note } };
    }
    case "finish":
      return now === undefined
        ? roll
        : { ...rest, until, done: done(now.id, action.note ?? now.note) };
    case "skip":
      return { ...roll, done: done(action.id, action.because) };
    case "renew":
      return { ...roll, until };
    case "end":
      return { ...roll, end: { how: action.how, at, because: action.because } };
    case "act":
      return roll;
  }
}

/** Whether both are the same roll at the same point: what was decided on one holds for the other. */
export function isSamePoint(a: Roll | undefined, b: Roll): boolean {
  return (
    a !== undefined &&
    a.key === b.key &&
    a.done.length === b.done.length &&
    a.now?.id === b.now?.id &&
    a.now?.step === b.now?.step &&
    a.now?.since === b.now?.since &&
    (a.end === undefined) === (b.end === undefined)
  );
}

function stopped({ stopBy = "somebody" }: Roll): RollAction {
  return { do: "end", how: "stopped", because: `by ${stopBy}` };
}

function halt(because: string): RollAction {
  return { do: "end", how: "halted", because };
}

function failed(result: string): string {
  return `its puppetserver didn't start (${result}): journalctl -u puppetserver`;
}

function late(what: string, afterMs: number, why: string): string {
  return `its puppetserver ${what} after ${renderDuration(afterMs / 1000)}: ${why}`;
}
