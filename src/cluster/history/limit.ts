// Keeps what happens again and again from filling the history. Pure but for what it remembers;
// times come in. Each subject is told a few times, then seldom, and with how many changes were left
// out; a subject that comes in bursts is told once each has ended.

import type { Draft } from "./entry.ts";

/** How often one subject is told at most, and how often all of them together. */
const SUBJECT_LIMITS = [
  { withinMs: 600_000, most: 10 },
  { withinMs: 86_400_000, most: 40 },
];
/** For what somebody does, rather than what is seen. */
const DEED_LIMITS = [{ withinMs: 600_000, most: 60 }];
/** Of all that is seen together, and of all deeds: those never leave untold what is seen. */
const ALL_LIMITS = [{ withinMs: 3_600_000, most: 300 }];
/** Subjects that are remembered; of more, those that changed longest ago are forgotten. */
const SUBJECTS_MAX = 1000;

/** A draft, what it is a change of, and how long that must be quiet before it is told. */
export interface Change {
  subject: string;
  draft: Draft;
  /** Whether it is somebody's deed, which is told more often. */
  deed?: true;
  /**
   * Milliseconds; more than 0: a burst is told once, by `draft` of the first and the last change.
   */
  settleMs?: number;
  /** For a burst: what tells all of it, when `former` began it. */
  merge?: (former: Draft) => Draft;
}

interface Subject {
  /** When it was told, newest last. */
  toldMs: number[];
  held: { draft: Draft; changes: number; dueMs: number; sinceMs: number } | undefined;
  isDeed: boolean;
}

/** A burst that doesn't end is told after so long. */
const BURST_MS_MAX = 300_000;

export interface Limiter {
  /** Takes what changed, and gives what is to be told now; to be called without changes, too. */
  take(changes: readonly Change[], nowMs: number): Draft[];
  /** What is to be told when nothing more comes: bursts have ended by that. */
  end(nowMs: number): Draft[];
}

export function createLimiter(): Limiter {
  const subjects = new Map<string, Subject>();
  /** When any was told: of what is seen, and of deeds. */
  const allMs = { seen: [] as number[], deeds: [] as number[] };

  const hold = (subject: Subject, change: Change, nowMs: number) => {
    const { held } = subject;
    const settleMs = change.settleMs ?? 0;
    const draft =
      held !== undefined && change.merge !== undefined ? change.merge(held.draft) : change.draft;
    const sinceMs = held?.sinceMs ?? nowMs;
    subject.held = {
      draft,
      changes: (held?.changes ?? 0) + 1,
      dueMs: settleMs === 0 ? 0 : Math.min(nowMs + settleMs, sinceMs + BURST_MS_MAX),
      sinceMs,
    };
  };
  const tell = (subject: Subject, nowMs: number): Draft[] => {
    const { held } = subject;
    if (held === undefined || nowMs < held.dueMs) return [];
    const { toldMs, isDeed } = subject;
    const all = isDeed ? "deeds" : "seen";
    if (!hasRoom(toldMs, isDeed ? DEED_LIMITS : SUBJECT_LIMITS, nowMs)) return [];
    if (!hasRoom(allMs[all], ALL_LIMITS, nowMs)) return [];
    subject.held = undefined;
    subject.toldMs = [...subject.toldMs.filter((ms) => nowMs - ms < 86_400_000), nowMs];
    allMs[all] = [...allMs[all].filter((ms) => nowMs - ms < 3_600_000), nowMs];
    // A burst's own changes are in its one draft.
    const leftOut = held.dueMs > 0 ? 0 : held.changes - 1;
    return [leftOut === 0 ? held.draft : { ...held.draft, leftOut }];
  };
  const take: Limiter["take"] = (changes, nowMs) => {
    const told: Draft[] = [];
    for (const change of changes) {
      const isDeed = change.deed === true;
      const subject = subjects.get(change.subject) ?? { toldMs: [], held: undefined, isDeed };
      subjects.delete(change.subject);
      subjects.set(change.subject, subject);
      hold(subject, change, nowMs);
      told.push(...tell(subject, nowMs));
    }
    for (const subject of subjects.values()) told.push(...tell(subject, nowMs));
    for (const name of subjects.keys()) {
      if (subjects.size <= SUBJECTS_MAX) break;
      subjects.delete(name);
    }
    return told;
  };
  return {
    take,
    end(nowMs) {
      for (const { held } of subjects.values()) {
        if (held !== undefined) held.dueMs = Math.min(held.dueMs, nowMs);
      }
      return take([], nowMs);
    },
  };
}

function hasRoom(
  toldMs: readonly number[],
  limits: readonly { withinMs: number; most: number }[],
  nowMs: number,
): boolean {
  return limits.every(
    ({ withinMs, most }) => toldMs.filter((ms) => nowMs - ms < withinMs).length < most,
  );
}
