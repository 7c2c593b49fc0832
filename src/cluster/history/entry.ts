// One thing that happened, as the record and each member's own file keep it. Who tells of it and
// when are its identity: the same entry sent twice is one. Danger: its texts come from anywhere, so
// they are bounded here and escaped where they are shown.

import { z } from "zod";
import type { Stage } from "../../base/stages.ts";
import { HISTORY_PREFIX } from "../keys.ts";
import type { EventName } from "./events.ts";
import type { Kind } from "./kinds.ts";

export const ENTRIES_PREFIX = `${HISTORY_PREFIX}entries/`;

/** How many the record keeps. */
export const ENTRIES_MAX = 10_000;
/** Longest text of an entry, characters; an entry stays below some 2 kB. */
const TEXT_MAX = 300;
const STAGES_MAX = 16;
const TIME_DIGITS = 14;
const NUMBER_DIGITS = 10;

const Text = z.string().max(TEXT_MAX);

/** How long a part took, see base/stages.ts. */
export const StageValue = z.object({ what: z.string().max(80), ms: z.number().min(0) });

/** A burst of revocations: its first and last CRL, and how many are revoked in all by then. */
export const Burst = z.object({
  first: z.int(),
  last: z.int(),
  revoked: z.int().min(0),
  total: z.int().min(0),
});
export type Burst = z.infer<typeof Burst>;

export const HistoryEntry = z.object({
  /** When, by the clock of the member that tells it, milliseconds since the epoch. */
  atMs: z.int().min(0),
  /** The member that tells it. */
  member: z.string().max(253),
  /** Grows with every entry of that member. */
  number: z.int().min(1),
  /** What it is about; a version to come may know further kinds. */
  kind: z.string().max(40),
  /** What happened, as programs call it (events.ts); absent: its kind says it. */
  event: z.string().max(60).optional(),
  /** What it is about: an address, a member, a puppetserver. */
  subject: z.string().max(253).optional(),
  what: Text,
  because: Text.default(""),
  /** Who did it: a user, a loop, an engine; empty: it was only seen. */
  by: z.string().max(120).default(""),
  /** How long its parts took, in order. */
  stages: z.array(StageValue).max(STAGES_MAX).optional(),
  /** Changes of the same thing before this one that were left out, since they were too many. */
  leftOut: z.int().optional(),
  /** What others see too, and as what: only the first of them tells it in the record. */
  seen: z.object({ subject: Text, state: Text }).optional(),
  /** Absent: it is no burst, or an older version tells of it. */
  burst: Burst.optional(),
});
export type HistoryEntry = z.infer<typeof HistoryEntry>;

/** Something to be told, before it has its member and number. */
export interface Draft {
  kind: Kind;
  event?: EventName;
  subject?: string;
  what: string;
  because?: string;
  by?: string;
  stages?: readonly Stage[];
  leftOut?: number;
  seen?: { subject: string; state: string };
  atMs: number;
  /** What it comes to so far. */
  burst?: Burst;
}

/** The entry that tells `draft`, its texts cut to their bounds. */
export function entryOf(draft: Draft, from: { member: string; number: number }): HistoryEntry {
  const { kind, event, subject, what, because = "", by = "" } = draft;
  const { stages, leftOut, seen, burst, atMs } = draft;
  return {
    atMs: Math.max(0, Math.round(atMs)),
    ...from,
    kind: kind.slice(0, 40),
    ...(event && { event }),
    ...(subject && { subject: subject.slice(0, 253) }),
    what: cut(what),
    because: cut(because),
    by: by.slice(0, 120),
    ...(stages && { stages: stages.slice(0, STAGES_MAX).map(cutStage) }),
    ...(leftOut !== undefined && leftOut > 0 && { leftOut }),
    ...(seen && { seen: { subject: cut(seen.subject), state: cut(seen.state) } }),
    ...(burst && { burst }),
  };
}

/** Where an entry is in the record: in the order of time, then of members. */
export function entryKey({ atMs, member, number }: HistoryEntry): string {
  const counted = String(number).padStart(NUMBER_DIGITS, "0");
  return `${timeKey(atMs)}/${member}/${counted}`;
}

/** What comes before every entry of `atMs` or later. */
export function timeKey(atMs: number): string {
  const time = String(Math.max(0, Math.floor(atMs))).padStart(TIME_DIGITS, "0");
  return `${ENTRIES_PREFIX}${time}`;
}

/** When the entry at `key` was; NaN for what is no key of an entry. */
export function timeOfKey(key: string): number {
  const digits = key.slice(ENTRIES_PREFIX.length, ENTRIES_PREFIX.length + TIME_DIGITS);
  return /^\d{14}$/.test(digits) ? Number(digits) : Number.NaN;
}

/** In the order of their keys. */
export function inOrder(a: HistoryEntry, b: HistoryEntry): number {
  return a.atMs - b.atMs || a.member.localeCompare(b.member) || a.number - b.number;
}

function cut(text: string): string {
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX - 1)}…` : text;
}

function cutStage({ what, ms }: Stage): Stage {
  return { what: what.slice(0, 80), ms: Math.max(0, Math.round(ms)) };
}
