// One timeline out of what every member has told and planned, by one clock. Pure. The idea: each
// member's times are shifted by how far its clock is off most clocks now; what several saw is one
// line that names them all; who couldn't be asked is named, and what the record has of it stands.

import { z } from "zod";
import { StageValue, type HistoryEntry } from "./entry.ts";
import type { Evidence } from "./evidence.ts";

/** Sights of the same state of the same thing within so long are one event. */
const SAME_MS = 60_000;
/** Lines of a timeline that are handed out at most, the newest. */
export const LINES_MAX = 20_000;

/** What one member handed out, and how far its clock is off most clocks, milliseconds. */
export interface Asked {
  evidence: Evidence;
  offsetMs: number;
}

export const IncidentLine = z.object({
  /** By most clocks, milliseconds since the epoch. */
  atMs: z.number(),
  member: z.string(),
  kind: z.string(),
  what: z.string(),
  because: z.string(),
  by: z.string(),
  /** How often, and until when, where it is more than once. */
  times: z.int().optional(),
  lastMs: z.number().optional(),
  stages: z.array(StageValue).optional(),
  leftOut: z.int().optional(),
  /** Others that saw the same. */
  alsoSeenBy: z.array(z.string()).default([]),
  /** From the record: that member couldn't be asked, and its clock isn't known. */
  uncorrected: z.boolean().default(false),
});
export type IncidentLine = z.infer<typeof IncidentLine>;

export const Incident = z.object({
  sinceMs: z.number(),
  untilMs: z.number(),
  answeredBy: z.string(),
  members: z.array(
    z.object({
      member: z.string(),
      offsetMs: z.number(),
      /** Entries of that time that it couldn't hand out: they were too many. */
      leftOut: z.int(),
    }),
  ),
  /** Members that couldn't be asked. */
  missing: z.array(z.object({ member: z.string(), because: z.string() })),
  /** Why the record couldn't be read; empty: it was. */
  recordBecause: z.string(),
  lines: z.array(IncidentLine),
  /** How many older lines there would be. */
  more: z.int().default(0),
});
export type Incident = z.infer<typeof Incident>;

/** The same with its times by most clocks. */
export function correctEvidence({ evidence, offsetMs }: Asked): Evidence {
  return {
    ...evidence,
    entries: evidence.entries.map((entry) => ({ ...entry, atMs: shift(entry.atMs, offsetMs) })),
    acts: evidence.acts.map((act) => ({
      ...act,
      atMs: shift(act.atMs, offsetMs),
      lastMs: shift(act.lastMs, offsetMs),
    })),
  };
}

/** What only the record has; `offsetMs` undefined: that member's clock isn't known. */
function correctShared(entry: HistoryEntry, offsetMs: number | undefined) {
  return {
    entry: { ...entry, atMs: shift(entry.atMs, offsetMs ?? 0) },
    uncorrected: offsetMs === undefined,
  };
}

function shift(ms: number, offsetMs: number): number {
  return Math.max(0, Math.round(ms - offsetMs));
}

/** What happened from `sinceMs` to `untilMs`, oldest first. `shared`: what the record has of it. */
export function buildTimeline(
  asked: readonly Asked[],
  shared: readonly HistoryEntry[],
  { sinceMs, untilMs }: { sinceMs: number; untilMs: number },
): IncidentLine[] {
  const corrected = asked.map(correctEvidence);
  const there = new Set(
    corrected.flatMap(({ entries }) => entries.map((entry) => identity(entry))),
  );
  const offsets = new Map(asked.map(({ evidence, offsetMs }) => [evidence.member, offsetMs]));
  const entries = [
    ...corrected.flatMap((each) => each.entries.map((entry) => ({ entry, uncorrected: false }))),
    ...shared
      .filter((entry) => !there.has(identity(entry)))
      .map((entry) => correctShared(entry, offsets.get(entry.member))),
  ].toSorted((a, b) => a.entry.atMs - b.entry.atMs);
  const acts = corrected.flatMap(({ member, acts }) => acts.map((act) => lineOfAct(member, act)));
  const lines = [...mergeSights(entries), ...acts].filter(
    ({ atMs, lastMs = atMs }) => lastMs >= sinceMs && atMs <= untilMs,
  );
  return lines.toSorted((a, b) => a.atMs - b.atMs);
}

/** Entries as lines; what several saw at about the same time is the first one's. */
function mergeSights(
  entries: readonly { entry: HistoryEntry; uncorrected: boolean }[],
): IncidentLine[] {
  const lines: IncidentLine[] = [];
  /** The newest line of each subject, with its state. */
  const newest = new Map<string, { state: string; line: IncidentLine }>();
  for (const { entry, uncorrected } of entries) {
    const { atMs, member, seen } = entry;
    const before = seen && newest.get(seen.subject);
    if (
      before?.state === seen?.state &&
      before !== undefined &&
      atMs - before.line.atMs < SAME_MS
    ) {
      const others = before.line.alsoSeenBy;
      if (member !== before.line.member && !others.includes(member)) others.push(member);
      continue;
    }
    const { kind, what, because, by, stages, leftOut } = entry;
    const line: IncidentLine = {
      atMs,
      member,
      kind,
      what,
      because,
      by,
      uncorrected,
      alsoSeenBy: [],
      ...(stages && { stages }),
      ...(leftOut !== undefined && { leftOut }),
    };
    lines.push(line);
    if (seen !== undefined) newest.set(seen.subject, { state: seen.state, line });
  }
  return lines;
}

function lineOfAct(member: string, act: Evidence["acts"][number]): IncidentLine {
  const { loop, do: what, because, atMs, lastMs, times } = act;
  const more = times > 1 ? { times, lastMs } : {};
  const by = `loop "${loop}"`;
  return {
    atMs,
    member,
    kind: "act",
    what,
    because,
    by,
    ...more,
    alsoSeenBy: [],
    uncorrected: false,
  };
}

/** The same entry in a member's file and in the record, whatever its time was corrected to. */
function identity({ member, number, what }: HistoryEntry): string {
  return `${member} ${number} ${what}`;
}
