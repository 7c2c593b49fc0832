// Planned work that the record knows of: who is drained, what is paused, and the roll that takes
// one server after another. One key, so that whoever decides on one compares all the others. The
// idea: each has an end, and every member judges by its own clock what has ended; that needs no
// leader and no etcd.

import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { DrillMark } from "./drill.ts";

/** As many as there may be members. */
const DRAINS_MAX = 100;
const PAUSES_MAX = 110;
const SLOTS_MAX = 50;
/** What has ended is kept for so long: members' clocks differ, and people look what became of it. */
const KEPT_MS = 600_000;
const ROLL_KEPT_MS = 3_600_000;

/** One member that an administrator keeps agents' work from. */
export const Drain = z.object({
  id: z.string(),
  by: z.string(),
  at: z.string(),
  reason: z.string().default(""),
  /** When it ends by itself; absent: it doesn't. */
  until: z.string().optional(),
});
export type Drain = z.infer<typeof Drain>;

/**
 * Where a roll is with its server. `drain`: nothing new goes there, what runs is waited for;
 * `act`: it is done; `return`: it must answer again; `back`: edges must send it requests again.
 * What each step waits for is roll.ts.
 */
export const RollStep = z.enum(["drain", "act", "return", "back"]);
export type RollStep = z.infer<typeof RollStep>;

/** A package of one server, and what becomes of it. */
export const PackageStep = z.object({ name: z.string(), from: z.string(), to: z.string() });
export type PackageStep = z.infer<typeof PackageStep>;

/** What an upgrade does. A part that is added needs a name of its own: see upgrade/parts.ts. */
export const UpgradeOf = z.object({
  parts: z.array(z.string()),
  /** Whether every member was meant, also those where there was nothing to do. */
  everyone: z.boolean().optional(),
  /** What was planned for each server, so that no other version gets in between. */
  servers: z.array(
    z.object({
      id: z.string(),
      packages: z.array(PackageStep),
      /** Whether a virtual IP must not be there meanwhile. */
      moves: z.boolean().default(false),
    }),
  ),
});
export type UpgradeOf = z.infer<typeof UpgradeOf>;

export const Roll = z.object({
  /** Another one for each roll. */
  key: z.string(),
  /** What is done to each server. */
  does: z.enum(["restart", "upgrade"]),
  /** Of an upgrade alone. */
  upgrade: UpgradeOf.optional(),
  by: z.string(),
  at: z.string(),
  reason: z.string().default(""),
  /** Members, in order. */
  ids: z.array(z.string()),
  /** Also where nobody else could take its requests. */
  force: z.boolean().default(false),
  done: z.array(z.object({ id: z.string(), at: z.string(), note: z.string().default("") })),
  now: z
    .object({
      id: z.string(),
      step: RollStep,
      /** When the step began. */
      since: z.string(),
      /**
       * Of a restart: which start of puppetserver's unit was there before; empty: it didn't run. Of
       * an upgrade: what was well there.
       */
      was: z.string(),
      note: z.string().default(""),
    })
    .optional(),
  /** Whoever drives it renews this; the server under way isn't drained for longer. */
  until: z.string(),
  /** Somebody wants it to end when the server under way is back. */
  stop: z.boolean().default(false),
  stopBy: z.string().optional(),
  /** Absent while it is under way. */
  end: z
    .object({
      how: z.enum(["done", "stopped", "halted"]),
      at: z.string(),
      because: z.string(),
    })
    .optional(),
});
export type Roll = z.infer<typeof Roll>;

/** What of ours may be paused: for a server, nothing of ours changes its configuration. */
export const PAUSE_SCOPES = ["addresses", "chores", "server"] as const;
export type PauseScope = (typeof PAUSE_SCOPES)[number];

/** Something that Understudy leaves alone for a while. */
export const Pause = z.object({
  /** One of the above; a newer member may know more. */
  scope: z.string(),
  /** The server, of that scope. */
  id: z.string().optional(),
  by: z.string(),
  /** Since when, without a gap. */
  at: z.string(),
  reason: z.string(),
  until: z.string(),
});
export type Pause = z.infer<typeof Pause>;

/** A newer member's fields stay as they are. */
export const Work = z.looseObject({
  drains: z.array(Drain).max(DRAINS_MAX).default([]),
  pauses: z.array(Pause).max(PAUSES_MAX).optional(),
  /** The newest restart of puppetservers. */
  roll: Roll.optional(),
  /** The drill under way; one that its driver couldn't end is over all the same. */
  drill: DrillMark.optional(),
  /** Which slots of the schedule were taken last, so that each is taken once. */
  drilled: z.array(z.string().max(100)).max(SLOTS_MAX).optional(),
  /** The newest upgrade: apart, for members whose version knows restarts alone. */
  upgrade: Roll.optional(),
});
export type Work = z.infer<typeof Work>;

export const NO_WORK: Work = { drains: [] };

/** Somebody who gets no new requests now, and why. */
export interface Out {
  id: string;
  because: string;
}

/** The drain of `id` that is in force. */
export function drainOf(work: Work, id: string, nowMs: number): Drain | undefined {
  return work.drains.find((drain) => drain.id === id && isInForce(drain, nowMs));
}

/** Every member that edges give nothing new. */
export function outNow(work: Work, nowMs: number): Out[] {
  const drains = work.drains
    .filter((drain) => isInForce(drain, nowMs))
    .map(({ id, by }) => ({ id, because: `it is drained by ${by}` }));
  const rolled = rollsOf(work).flatMap((roll) => {
    const id = rolledOut(roll, nowMs);
    if (id === undefined || drains.some((drain) => drain.id === id)) return [];
    const done = roll.does === "upgrade" ? "upgraded" : "restarted";
    return [{ id, because: `it is being ${done} for ${roll.by}` }];
  });
  return [...drains, ...rolled];
}

/**
 * Whether the addresses of `id` are to be another server's: it is drained, or something that holds
 * them is upgraded.
 */
export function isWithoutAddresses(work: Work, id: string, nowMs: number): boolean {
  if (drainOf(work, id, nowMs) !== undefined) return true;
  return rollsOf(work).some((roll) => rolledOut(roll, nowMs) === id && givesAway(roll, id));
}

/** Whether the roll is to find no virtual IP at `id` when it comes to it. */
export function givesAway({ upgrade }: Roll, id: string): boolean {
  return upgrade?.servers.some((each) => each.id === id && each.moves) === true;
}

export function isOut(work: Work, id: string, nowMs: number): boolean {
  return outNow(work, nowMs).some((out) => out.id === id);
}

/** The roll that is under way. */
export function rollUnderWay(work: Work): Roll | undefined {
  return rollsOf(work).find(({ end }) => end === undefined);
}

/** The newest roll, or the one under way. */
export function newestRoll(work: Work): Roll | undefined {
  return rollUnderWay(work) ?? rollsOf(work).toSorted((a, b) => (a.at < b.at ? 1 : -1))[0];
}

/** The newest roll that does the same as `roll`. */
export function sameRoll(work: Work, { does }: Roll): Roll | undefined {
  return does === "upgrade" ? work.upgrade : work.roll;
}

/** `work` with this roll instead of a former one that does the same. */
export function withRoll(work: Work, roll: Roll): Work {
  return roll.does === "upgrade" ? { ...work, upgrade: roll } : { ...work, roll };
}

function rollsOf({ roll, upgrade }: Work): Roll[] {
  return [roll, upgrade].filter((each) => each !== undefined);
}

/** The drill that is under way. */
export function drillUnderWay({ drill }: Work, nowMs: number): DrillMark | undefined {
  return drill !== undefined && isInForce(drill, nowMs) ? drill : undefined;
}

/** Why no other work begins now; empty: no drill is under way. */
export function drillInTheWay(work: Work, nowMs: number): string {
  const drill = drillUnderWay(work, nowMs);
  if (drill === undefined) return "";
  return `the drill ${drill.kind} at ${drill.server} is under way (to stop it: understudy drill stop)`;
}

/** `work` without the drill `id`; itself where that isn't there. */
export function withoutDrill(work: Work, id: string): Work {
  const { drill, ...rest } = work;
  return drill?.id === id ? rest : work;
}

/** `work` with the slot as taken; undefined where it was taken before. */
export function withSlot(work: Work, slot: string): Work | undefined {
  const { drilled = [] } = work;
  if (drilled.includes(slot)) return undefined;
  return { ...work, drilled: [...drilled, slot].slice(-SLOTS_MAX) };
}

/** `work` with this drain instead of a former one of the same member. Throws `drain.too-many`. */
export function withDrain(work: Work, drain: Drain): Work {
  const drains = work.drains.filter(({ id }) => id !== drain.id);
  if (drains.length >= DRAINS_MAX) {
    throw new Fault("drain.too-many", `${DRAINS_MAX} members are drained, and no more may be`);
  }
  return { ...work, drains: [...drains, drain] };
}

export function withoutDrain(work: Work, id: string): Work {
  return { ...work, drains: work.drains.filter((drain) => drain.id !== id) };
}

/** Whether the server `id` is to be left alone: as a whole, or in this scope. */
export function isPaused(
  work: Work,
  id: string,
  nowMs: number,
  scope?: Exclude<PauseScope, "server">,
): boolean {
  return pausesNow(work, nowMs).some((pause) =>
    pause.scope === "server" ? pause.id === id : pause.scope === scope,
  );
}

export function pausesNow({ pauses = [] }: Work, nowMs: number): Pause[] {
  return pauses.filter((pause) => isInForce(pause, nowMs));
}

/** `work` with this pause; one that goes on is as old as it was. Throws Fault `pause.too-many`. */
export function withPause(work: Work, pause: Pause, nowMs: number): Work {
  const isSame = (each: Pause) => each.scope === pause.scope && each.id === pause.id;
  const before = pausesNow(work, nowMs).find(isSame);
  const others = (work.pauses ?? []).filter((each) => !isSame(each));
  if (others.length >= PAUSES_MAX) {
    throw new Fault("pause.too-many", `${PAUSES_MAX} pauses are in the record, and no more may be`);
  }
  return { ...work, pauses: [...others, { ...pause, at: before?.at ?? pause.at }] };
}

/** `work` without the pauses that `meant` says. */
export function withoutPauses(work: Work, meant: (pause: Pause) => boolean): Work {
  return { ...work, pauses: (work.pauses ?? []).filter((pause) => !meant(pause)) };
}

/**
 * `work` without what ended long ago, or belongs to nobody in `members`; itself where there is
 * nothing of that.
 */
export function withoutEnded(work: Work, members: readonly string[], nowMs: number): Work {
  const isKept = ({ until, id }: { until?: string | undefined; id?: string | undefined }) =>
    (until === undefined || Date.parse(until) > nowMs - KEPT_MS) &&
    (id === undefined || members.includes(id));
  const isOld = (roll: Roll | undefined) =>
    roll?.end !== undefined && Date.parse(roll.end.at) < nowMs - ROLL_KEPT_MS;
  const { drains, pauses = [], roll, upgrade, ...rest } = work;
  if (!isOld(roll) && !isOld(upgrade) && [...drains, ...pauses].every(isKept)) return work;
  return {
    ...rest,
    ...(roll === undefined || isOld(roll) ? {} : { roll }),
    ...(upgrade === undefined || isOld(upgrade) ? {} : { upgrade }),
    drains: drains.filter(isKept),
    pauses: pauses.filter(isKept),
  };
}

function isInForce({ until }: { until?: string | undefined }, nowMs: number): boolean {
  return until === undefined || Date.parse(until) > nowMs;
}

function rolledOut({ now, until, end }: Roll, nowMs: number): string | undefined {
  if (now === undefined || now.step === "back" || end !== undefined) return undefined;
  return Date.parse(until) > nowMs ? now.id : undefined;
}
