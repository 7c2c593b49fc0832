// Which warnings are told, and when. Pure. The record knows what is raised, so that a new leader
// tells nothing twice; what only seems so far is in the memory of the one who looks (`Watch`), so
// that a new leader merely waits once more. Invariant: between two "raised" of the same alert there
// is always a "resolved". Danger: what nobody can see now isn't gone.

import type { Severity, Warning } from "../cluster/warning.ts";
import { type AlertChange, alertKey, type AlertState, type KnownAlert } from "./state.ts";

/** How long something must be so before it is told. */
export const HOLD_MS: Record<Severity, number> = { critical: 30_000, warning: 120_000 };
/** How long it must be gone before that is told. */
export const CLEAR_MS = 60_000;
/** What stays so is told again. */
export const REMIND_MS = 86_400_000;
/** Raised so often within so long, it comes and goes: then only a long quiet is told. */
export const FLAP_RAISES = 3;
export const FLAP_MS = 3_600_000;
/** Alerts that are known at once; of more, critical ones come first. */
export const KNOWN_MAX = 200;
const TEXT_MAX = 600;
const SUBJECT_MAX = 300;

/** What the one who looks remembers, by key: monotonic milliseconds. */
export interface Watch {
  seenMs: ReadonlyMap<string, number>;
  goneMs: ReadonlyMap<string, number>;
}
export const NOTHING_SEEN: Watch = { seenMs: new Map(), goneMs: new Map() };

export interface Look {
  warnings: readonly Warning[];
  /** Members that can't be asked: what is of them may still be so. */
  silent: ReadonlySet<string>;
  /** Members that are out by somebody's wish: what is so of them is expected. */
  planned: ReadonlySet<string>;
  /** Wall time, milliseconds since the epoch. */
  nowMs: number;
  /** Monotonic. */
  atMs: number;
}

export interface Judged {
  known: KnownAlert[];
  watch: Watch;
  changes: AlertChange[];
}

/** What to tell of what is seen now. The caller keeps `known` by a compare, then `watch`. */
export function judgeAlerts(
  { known }: Pick<AlertState, "known">,
  watch: Watch,
  look: Look,
): Judged {
  const before = new Map(known.map((each) => [alertKey(each), each]));
  const after = new Map(before);
  const seenMs = new Map<string, number>();
  const goneMs = new Map<string, number>();
  const changes: AlertChange[] = [];
  const present = presentOf(look.warnings);
  for (const [key, warning] of present) {
    // What was told before stays told; what is still so afterwards is told then.
    if (before.get(key)?.state !== "raised" && isPlanned(warning, look.planned)) continue;
    const firstMs = watch.seenMs.get(key) ?? look.atMs;
    seenMs.set(key, firstMs);
    const heldMs = look.atMs - firstMs;
    const { now, change } = judgePresent(before.get(key), warning, heldMs, look.nowMs);
    const isNew = now !== undefined && !after.has(key);
    // Where there is no room it goes on being seen, and is told when there is.
    if (now === undefined || (isNew && after.size >= KNOWN_MAX)) continue;
    after.set(key, now);
    if (change !== undefined) changes.push(changeOf(change, now));
  }
  for (const [key, alert] of before) {
    if (present.has(key) || isHidden(alert, look.silent)) continue;
    const lastMs = watch.goneMs.get(key) ?? look.atMs;
    goneMs.set(key, lastMs);
    const { now, change } = judgeAbsent(alert, look.atMs - lastMs, look.nowMs);
    if (now === undefined) after.delete(key);
    else after.set(key, now);
    if (change !== undefined) changes.push(changeOf(change, now ?? alert));
  }
  return { known: [...after.values()], watch: { seenMs, goneMs }, changes };
}

/** By key, critical ones first. */
function presentOf(warnings: readonly Warning[]): Map<string, Warning> {
  const sorted = warnings.toSorted((a, b) => rank(b.severity) - rank(a.severity));
  const present = new Map<string, Warning>();
  for (const each of sorted) {
    const { kind, subject, severity, text } = each;
    const of = subject === undefined ? {} : { subject: subject.slice(0, SUBJECT_MAX) };
    // Cut here, or it would not be found again under what the record keeps.
    const warning = { kind: kind.slice(0, 60), ...of, severity, text: text.slice(0, TEXT_MAX) };
    const key = alertKey(warning);
    if (!present.has(key)) present.set(key, warning);
  }
  return present;
}

type Verdict = { now: KnownAlert | undefined; change?: AlertChange["change"] };

function judgePresent(
  before: KnownAlert | undefined,
  warning: Warning,
  heldMs: number,
  nowMs: number,
): Verdict {
  const { kind, subject, severity, text } = warning;
  if (before?.state === "raised") {
    if (rank(severity) > rank(before.severity)) {
      return { now: { ...before, severity, text, toldMs: nowMs }, change: "worse" };
    }
    if (isWithin(before.toldMs, REMIND_MS, nowMs)) return { now: before };
    return { now: { ...before, text, toldMs: nowMs }, change: "still" };
  }
  if (heldMs < HOLD_MS[severity]) return { now: before };
  const recent = (before?.raises ?? []).filter((ms) => isWithin(ms, FLAP_MS, nowMs));
  const raises = [...recent, nowMs].slice(-FLAP_RAISES);
  const flapping = raises.length >= FLAP_RAISES;
  const of = { kind, severity, text, ...(subject === undefined ? {} : { subject }) };
  return {
    now: { ...of, state: "raised", sinceMs: nowMs, toldMs: nowMs, raises, flapping },
    change: flapping ? "flapping" : "raised",
  };
}

function judgeAbsent(alert: KnownAlert, goneForMs: number, nowMs: number): Verdict {
  if (alert.state === "resolved") {
    return { now: isWithin(alert.sinceMs, FLAP_MS, nowMs) ? alert : undefined };
  }
  if (goneForMs < (alert.flapping ? FLAP_MS : CLEAR_MS)) return { now: alert };
  const raises = alert.flapping ? [] : alert.raises;
  const resolved = { state: "resolved" as const, sinceMs: nowMs, toldMs: nowMs };
  return { now: { ...alert, ...resolved, raises, flapping: false }, change: "resolved" };
}

/** What lies farther ahead than that was written down by a leader whose clock was wrong. */
function isWithin(atMs: number, forMs: number, nowMs: number): boolean {
  return Math.abs(nowMs - atMs) < forMs;
}

/** What happens to a server that is switched off, and to nobody else. */
const OF_PLANNED = ["courier", "edge", "member", "puppetdb", "puppetserver", "record"];

/** Whether it is only what somebody has taken a member out for; a missing vote never is. */
function isPlanned({ kind, subject = "" }: Warning, planned: ReadonlySet<string>): boolean {
  const [of = ""] = kind.split("-");
  return OF_PLANNED.includes(of) && subject.split(" ").some((word) => planned.has(word));
}

/** Whether it is of a member that can't be asked now: that it isn't told says nothing. */
function isHidden({ kind, subject = "" }: KnownAlert, silent: ReadonlySet<string>): boolean {
  if (kind === "member-silent") return false;
  return subject.split(" ").some((word) => silent.has(word));
}

function changeOf(change: string, alert: KnownAlert): AlertChange {
  const { kind, subject, severity, text, sinceMs } = alert;
  return { change, kind, ...(subject === undefined ? {} : { subject }), severity, text, sinceMs };
}

export function rank(severity: Severity): number {
  return severity === "critical" ? 1 : 0;
}
