// What a roll does next. Pure: the roll as the record has it, and what is seen of its server, in;
// one action out. The idea: everything that counts is in the record or can be seen, so that whoever
// leads goes on where another one stopped, at any point. Danger: two may drive it for a moment;
// each change compares the step that it was decided on, and an act that was done isn't done again.

import { renderDuration } from "../base/duration.ts";
import { isoTime } from "../host/clock.ts";
import { PUPPETSERVER } from "./well.ts";
import type { Roll, RollStep } from "./work.ts";

/** How long its running requests are waited for: an agent waits for none longer. */
export const DRAIN_MS = 600_000;
/** puppetserver starts in 20 s alone, in two minutes on a busy server; systemd gives it 300 s. */
export const ACT_MS = 360_000;
/** Packages are fetched, unpacked and set up, and dpkg may be another's for a while. */
export const UPGRADE_MS = 1_800_000;
/** A switchover takes seconds; one that is refused for longer is left to keepalived. */
export const MOVE_MS = 120_000;
/** From when it was started until it answers, and until every edge sends it requests. */
export const RETURN_MS = 300_000;
/** A PuppetDB may change its database first, and is compared with another one. */
export const WELL_MS = 900_000;
export const BACK_MS = 120_000;
/** How long there may be nobody else who takes requests, and no answer of a daemon. */
export const PATIENCE_MS = 60_000;
/** A puppetserver that loads by itself is drained and reloaded in less. */
export const LOADING_MS = 900_000;
/** For how long a server stays drained when nobody drives the roll any more. */
export const DRIVEN_MS = 120_000;

/** What its driver remembers of that server; whoever drives it next begins with nothing. */
export interface RollRemembered {
  /** For how long, at every look, it has lacked what it may not be taken out without. */
  lackingMs: number;
  /** For how long its addresses have been tried to be moved. */
  movingMs: number;
  /** Why the last try of what the roll is for was refused; empty: it wasn't. */
  refused: string;
}

/** What is seen of the roll's server, or of the next one. */
export interface RollSeen extends RollRemembered {
  /** Whether it is a member that stays. */
  member: boolean;
  /** Whether somebody has it left alone. */
  paused: boolean;
  /** puppetserver's unit; undefined while its daemon doesn't answer. */
  unit: { active: string; result: string; invocation: string } | undefined;
  /** Whether it has a puppetserver that edges know. */
  serves: boolean;
  /** How far its upgrade is; undefined while its daemon doesn't answer, and in a restart. */
  job?: UpgradeJob | undefined;
  /** Addresses that it holds and that an upgrade must not find there. */
  addresses: readonly string[];
  /** What is well there, in words that stay the same from one look to the next: see well.ts. */
  well: readonly string[];
  /** Whether changes of the record would go on without its vote, if it has one. */
  quorumWithout: boolean;
  /** Whether an edge that answers gives it new requests. */
  sent: boolean;
  /** Requests that run there. */
  running: number;
  /** Whether more may run there, as nobody can tell. */
  untold?: boolean;
  /** Why it isn't fit to get requests again; empty when it is. */
  unwell: string;
  /** Whether every edge that answers sends it requests, unless it isn't to get any. */
  back: boolean;
  /** Puppetservers of other members that get requests. */
  others: number;
  /** Its puppetservers that what the roll does leaves as they are. */
  apart?: readonly string[];
  /** Another member whose puppetserver loads something by itself now; empty: none. */
  busyElsewhere: string;
}

/** The upgrade of one server, as its daemon tells. */
export interface UpgradeJob {
  /** `none`: not begun, or interrupted: it is begun again, and goes on where it was. */
  state: "none" | "runs" | "done" | "failed";
  because: string;
}

/** How far what the roll is for has come at its server. */
type Doing =
  | { is: "silent" | "idle" | "busy"; because: string }
  | { is: "done"; note?: string }
  | { is: "failed"; because: string };

export type RollAction =
  /** Its addresses go to another server before it is drained, and no connection breaks. */
  | { do: "move"; id: string; addresses: readonly string[]; because: string }
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
  if (roll.now === undefined) {
    return (
      planNext(roll, seen, nowMs) ?? renewed(roll, nowMs, "whoever watches sees that it is driven")
    );
  }
  if (!seen.member) return { do: "finish", note: "it was removed", because: "it is no member" };
  const action = planStep(roll, roll.now, seen, nowMs);
  // An act may be refused each time: the drain must not end meanwhile, nor begin anew.
  if ((action !== undefined && action.do !== "act") || roll.now.step === "back") return action;
  return renewed(roll, nowMs, "it must not end while it is driven") ?? action;
}

function renewed({ until }: Roll, nowMs: number, because: string): RollAction | undefined {
  return Date.parse(until) - nowMs > DRIVEN_MS / 2 ? undefined : { do: "renew", because };
}

function planNext(roll: Roll, seen: RollSeen, nowMs: number): RollAction | undefined {
  const id = rollTarget(roll);
  if (id === undefined) return { do: "end", how: "done", because: "every server is done" };
  if (roll.stop) return stopped(roll);
  if (!seen.member) return { do: "skip", id, because: "it is no member any more" };
  if (seen.paused) return halt(`${id} is paused`);
  const idleMs = nowMs - Date.parse(roll.done.at(-1)?.at ?? roll.at);
  if (seen.busyElsewhere !== "") {
    return idleMs < LOADING_MS
      ? undefined
      : halt(`${seen.busyElsewhere}'s is loading for too long`);
  }
  const lacks = whatLacks(roll, seen);
  if (lacks !== "") return seen.lackingMs < PATIENCE_MS ? undefined : halt(`${id}: ${lacks}`);
  const { addresses } = seen;
  if (addresses.length > 0 && seen.movingMs < MOVE_MS) {
    return { do: "move", id, addresses, because: `it holds ${addresses.join(", ")}` };
  }
  const was = roll.does === "upgrade" ? seen.well.join(" ") : (seen.unit?.invocation ?? "");
  return { do: "begin", id, was, because: "it is the next one" };
}

/** Whether its driver's patience is running out: see `lackingMs`. */
export function isLacking(roll: Roll, seen: Omit<RollSeen, keyof RollRemembered>): boolean {
  // Another one that loads by itself is waited for longer, and may be what is lacking.
  if (roll.now === undefined && seen.busyElsewhere !== "") return false;
  return whatLacks(roll, seen) !== "";
}

/** Why a server may not be taken out now. */
function whatLacks({ does, force }: Roll, seen: Omit<RollSeen, keyof RollRemembered>): string {
  const { others, unit, job, serves, quorumWithout } = seen;
  if ((does === "upgrade" ? job : unit) === undefined) return "its daemon doesn't answer";
  if (does === "upgrade" && !quorumWithout) return "another voter of etcd is missing";
  return serves && others === 0 && !force ? "no other puppetserver gets requests" : "";
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
      return planAct(roll, now.was, seen, { forMs, lapsed });
    case "return":
      return planReturn(roll, now.was, seen, forMs);
    case "back": {
      // A puppetserver that was none before is none to wait for.
      const isNone = roll.does === "upgrade" && !partsOf(now.was).includes(PUPPETSERVER);
      if (seen.back || isNone) {
        return { do: "finish", note: noteOf(now, seen), because: "edges send it requests again" };
      }
      return forMs < BACK_MS
        ? undefined
        : halt(late("its puppetserver gets no requests", BACK_MS, seen.unwell));
    }
  }
}

/** What is to be known of a server that is done. */
function noteOf({ note }: NonNullable<Roll["now"]>, { apart = [] }: RollSeen): string {
  const left = apart.map(
    (name) => `its puppetserver "${name}" goes on as it was: restart it by hand`,
  );
  return [note, ...left].filter((text) => text !== "").join("; ");
}

function planReturn(
  { does }: Roll,
  was: string,
  seen: RollSeen,
  forMs: number,
): RollAction | undefined {
  const because = does === "upgrade" ? whatIsLost(was, seen) : seen.unwell;
  const isWanted = does === "restart" || partsOf(was).includes(PUPPETSERVER);
  if (isWanted && seen.unit?.active === "failed") return halt(failed(seen.unit.result));
  if (because === "") return { do: "advance", step: "back", because: "it answers again" };
  const [what, limitMs] =
    does === "upgrade"
      ? ["it isn't as it was before", WELL_MS]
      : ["its puppetserver doesn't answer", RETURN_MS];
  return forMs < limitMs ? undefined : halt(late(what, limitMs, because));
}

/** What was well before an upgrade and isn't now; empty: nothing. */
function whatIsLost(was: string, { well, unwell }: RollSeen): string {
  const lost = partsOf(was).filter((part) => !well.includes(part));
  const what = lost.length === 0 ? "" : `not well: ${lost.join(", ")}`;
  return [what, partsOf(was).includes(PUPPETSERVER) ? unwell : ""]
    .filter((text) => text !== "")
    .join("; ");
}

function partsOf(was: string): string[] {
  return was.split(" ").filter((part) => part !== "");
}

function planDrainStep(roll: Roll, seen: RollSeen, forMs: number): RollAction | undefined {
  if (roll.stop) return stopped(roll);
  if (seen.paused) return halt("it is paused");
  const lacks = whatLacks(roll, seen);
  if (lacks !== "") return seen.lackingMs < PATIENCE_MS ? undefined : halt(lacks);
  const { addresses, running, untold = false } = seen;
  if (!seen.sent && running === 0 && !untold && addresses.length === 0) {
    return { do: "advance", step: "act", because: "nothing runs there" };
  }
  if (forMs < DRAIN_MS) return undefined;
  const unknown = untold && !seen.sent ? "what still ran couldn't be told" : "";
  const still =
    running > 0 ? `${running} requests still ran` : unknown || "edges still sent it requests";
  const note =
    addresses.length === 0
      ? `${still} after ${renderDuration(DRAIN_MS / 1000)}`
      : `it still held ${addresses.join(", ")} after ${renderDuration(DRAIN_MS / 1000)}`;
  return { do: "advance", step: "act", note, because: note };
}

function planAct(
  roll: Roll,
  was: string,
  seen: RollSeen,
  { forMs, lapsed }: { forMs: number; lapsed: boolean },
): RollAction | undefined {
  const isUpgrade = roll.does === "upgrade";
  const doing = isUpgrade ? judgeUpgrade(roll, seen.job) : judgeRestart(was, seen.unit);
  if (doing.is === "failed") return halt(doing.because);
  if (doing.is === "done") {
    const { note } = doing;
    const because = isUpgrade ? "its packages are upgraded" : "it has started";
    return { do: "advance", step: "return", ...(note === undefined ? {} : { note }), because };
  }
  if (doing.is === "idle" && seen.paused) return halt("it is paused");
  const limitMs = isUpgrade ? UPGRADE_MS : ACT_MS;
  if (forMs >= limitMs) {
    const what = isUpgrade ? "it isn't upgraded" : "its puppetserver doesn't restart";
    return halt(late(what, limitMs, (doing.is === "idle" && seen.refused) || doing.because));
  }
  if (doing.is !== "idle") return undefined;
  return lapsed ? DRAIN_ANEW : { do: "act", because: "nothing runs there" };
}

function judgeRestart(was: string, unit: RollSeen["unit"]): Doing {
  if (unit === undefined) return { is: "silent", because: "its daemon is silent" };
  const { active, result, invocation } = unit;
  const because = `its unit is ${active}`;
  if (invocation !== was) {
    if (active === "active") return { is: "done" };
    return active === "failed"
      ? { is: "failed", because: failed(result) }
      : { is: "busy", because };
  }
  const moves = active === "deactivating" || active === "activating";
  return { is: moves ? "busy" : "idle", because };
}

function judgeUpgrade({ now, upgrade }: Roll, job: UpgradeJob | undefined): Doing {
  if (job === undefined) return { is: "silent", because: "its daemon is silent" };
  const { state, because } = job;
  if (state === "failed") return { is: "failed", because };
  if (state !== "done") return { is: state === "runs" ? "busy" : "idle", because };
  const own = upgrade?.servers.find(({ id }) => id === now?.id)?.packages ?? [];
  const packages = own.map(({ name, to }) => `${name} ${to}`).join(", ");
  return { is: "done", note: now?.note ? `${packages}; ${now.note}` : packages };
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
      // Its drain has ended since somebody looked: requests go there again.
      const isLate = action.step === "act" && Date.parse(roll.until) <= nowMs;
      if (now === undefined || isLate) return roll;
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
    case "move":
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
  return `${what} after ${renderDuration(afterMs / 1000)}: ${why}`;
}
