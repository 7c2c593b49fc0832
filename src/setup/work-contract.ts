// The shapes that the daemon's local API and the commands share, for planned work.

import { z } from "zod";
import { Drain, PackageStep, Pause, Roll } from "../cluster/work.ts";
import { PARTS } from "../upgrade/parts.ts";

/** A member as people type it: its name, or the first label of it. */
export const MemberName = z.string().min(1).max(253);

/** No control characters, nor what turns the direction of a line or hides in it. */
const HARMLESS = /^[ -~\u00a1-\u200a\u2010-\u2027\u202f-\u205f\u2070-\ufefe]*$/;

/** What somebody gives as a reason: one line, for people. */
export const Reason = z
  .string()
  .max(200)
  .regex(HARMLESS, { error: "one line of text, without control characters" });

export const DrainWish = z.object({
  name: MemberName,
  reason: Reason.default(""),
  /** When it ends by itself; absent: it doesn't. */
  until: z.iso.datetime().optional(),
  /** Also where nobody else is ready to take the agents. */
  force: z.boolean().default(false),
});
export type DrainWish = z.infer<typeof DrainWish>;

/** What draining a member means; asked before it is done. */
export const DrainPlan = z.object({
  id: z.string(),
  /** Why it isn't done without --force; empty when it is. */
  refused: z.string(),
  topology: z.array(z.object({ id: z.string(), now: z.string(), then: z.string() })),
  steps: z.array(z.object({ what: z.string(), because: z.string() })),
  /** JRubies that take requests now and then; requests that run and that wait. */
  capacity: z.object({ now: z.int(), left: z.int(), busy: z.int(), waiting: z.int() }),
  risks: z.array(z.string()),
});
export type DrainPlan = z.infer<typeof DrainPlan>;

/** How the addresses of a server went to another one. */
export const HandedOver = z.object({
  to: z.string(),
  addresses: z.array(z.string()),
  /** Those that are open and go on at the former holder. */
  connections: z.int(),
  /** Why open connections break, when keepalived moves the addresses; empty: they go on. */
  breaks: z.string(),
});
export type HandedOver = z.infer<typeof HandedOver>;

/** A drain that is in force, or was until now. */
export const DrainAnswer = z.object({
  id: z.string(),
  drain: Drain.optional(),
  /** Absent where it held no address, or nobody takes it. */
  handedOver: HandedOver.optional(),
});
export type DrainAnswer = z.infer<typeof DrainAnswer>;

/** How far a drain has come. */
export const DrainProgress = z.object({
  id: z.string(),
  drained: z.boolean(),
  /** Requests that its puppetservers still work on. */
  requests: z.int(),
  addresses: z.array(z.string()),
  /** What keeps it from being drained, in words. */
  left: z.array(z.string()),
  /** Servers that can't be asked: their edges may send it requests. */
  silent: z.array(z.string()),
});
export type DrainProgress = z.infer<typeof DrainProgress>;

export const RollWish = z.object({
  /** Members as people type them; empty: every one that has a puppetserver. */
  names: z.array(MemberName).max(100).default([]),
  /** Only those that the last one left when it halted or was stopped. */
  rest: z.boolean().default(false),
  reason: Reason.default(""),
  force: z.boolean().default(false),
});
export type RollWish = z.infer<typeof RollWish>;

export const RollMeant = RollWish.pick({ names: true, rest: true });
export type RollMeant = z.infer<typeof RollMeant>;

/** What a roll would do; asked before it begins. */
export const RollPlan = z.object({
  ids: z.array(z.string()),
  /** Why it isn't done without --force; empty when it is. */
  refused: z.string(),
  steps: z.array(z.object({ id: z.string(), left: z.int(), now: z.int() })),
  busy: z.int(),
  waiting: z.int(),
  risks: z.array(z.string()),
});
export type RollPlan = z.infer<typeof RollPlan>;

/** The newest roll, if there was one lately. */
export const RollAnswer = z.object({ roll: Roll.optional() });
export type RollAnswer = z.infer<typeof RollAnswer>;
export const RollStarted = z.object({
  roll: Roll,
  /** It was under way already. */
  already: z.boolean(),
});
export type RollStarted = z.infer<typeof RollStarted>;

export const UpgradeMeant = z.object({
  /** Empty: all of them. */
  parts: z.array(z.enum(PARTS)).max(PARTS.length).default([]),
  /** Members as people type them; empty: every one. */
  names: z.array(MemberName).max(100).default([]),
});
export type UpgradeMeant = z.infer<typeof UpgradeMeant>;

/** What an upgrade would do; asked before it begins. */
export const UpgradePlan = z.object({
  parts: z.array(z.string()),
  /** Why it isn't done without --force; empty when it is. */
  refused: z.string(),
  /** In order; members where nothing is to be upgraded are left out. */
  steps: z.array(
    z.object({
      id: z.string(),
      packages: z.array(PackageStep),
      /** Packages that these need in another version, or anew. */
      others: z.array(PackageStep),
      /** Addresses that go to another server meanwhile. */
      addresses: z.array(z.string()),
      left: z.int(),
      now: z.int(),
    }),
  ),
  busy: z.int(),
  waiting: z.int(),
  /** Packages that stay as they are, and why. */
  notes: z.array(z.string()),
  risks: z.array(z.string()),
});
export type UpgradePlan = z.infer<typeof UpgradePlan>;

export const UpgradeWish = UpgradeMeant.extend({
  reason: Reason.default(""),
  force: z.boolean().default(false),
  /** What somebody was shown and agreed to; absent: whatever there is. */
  shown: UpgradePlan.shape.steps.optional(),
});
export type UpgradeWish = z.infer<typeof UpgradeWish>;

export const PauseWish = z.object({
  /** Scopes of the cluster, or members as people type them. */
  scopes: z.array(MemberName).min(1).max(10),
  reason: Reason.min(1, { error: "say why: somebody else reads it at night" }),
  until: z.iso.datetime(),
});
export type PauseWish = z.infer<typeof PauseWish>;

/** Empty: everything that is paused. */
export const ResumeWish = z.object({ scopes: z.array(MemberName).max(10).default([]) });
export type ResumeWish = z.infer<typeof ResumeWish>;

/** The pauses that are in force, or that were until now. */
export const PauseAnswer = z.object({ pauses: z.array(Pause) });
export type PauseAnswer = z.infer<typeof PauseAnswer>;
