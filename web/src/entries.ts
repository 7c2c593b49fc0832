// Entries of the history as they come in parts: the newest, what is told meanwhile, older ones.
// Danger: where something lies between two parts that neither has, what is shown would be taken for
// all that happened. Pure.

import type { HistoryEntry } from "../../src/cluster/history/entry.ts";
import type { HistoryAnswer } from "../../src/setup/history-contract.ts";

/** More makes a page that nobody reads, and slow. */
export const SHOWN_MAX = 2000;

/** Newest first, with nothing left out between them. */
export interface Known {
  entries: readonly HistoryEntry[];
  /** Whether there are older ones. */
  more: boolean;
  /** Why these are only what one member has told; empty: they are the cluster's. */
  because: string;
}

export function keyOf({ member, number }: HistoryEntry): string {
  return `${member} ${number}`;
}

/** What is known once the newest were asked for. What may lie apart is given up. */
export function withNewest(known: Known | undefined, told: HistoryAnswer): Known {
  const fresh = { entries: inOrder(told.entries), more: told.more > 0, because: told.because };
  if (!isSameTeller(known, told) || !meets(known.entries, told)) return fresh;
  const oldest = known.entries.at(-1);
  const reachesFurther =
    oldest !== undefined && told.entries.every((each) => isNewer(each, oldest));
  const more = reachesFurther ? known.more : fresh.more;
  return { ...fresh, entries: inOrder([...told.entries, ...known.entries]), more };
}

/**
 * What is known once those before the oldest were asked for with `olderOf`. They have that oldest
 * among them, if nobody has given it up meanwhile.
 */
export function withOlder(known: Known, told: HistoryAnswer): Known {
  const because = told.because || known.because;
  if (told.entries.length > 0 && !shares(known.entries, told)) return { ...known, because };
  const entries = inOrder([...known.entries, ...told.entries]);
  return { entries, more: told.more > 0, because };
}

/** Asks for `count` entries that are older than all that is known. */
export function olderOf({ entries }: Known, count: number): string {
  const untilMs = entries.at(-1)?.atMs ?? 0;
  // Others may be of the very same moment.
  const same = entries.filter(({ atMs }) => atMs === untilMs).length;
  return `limit=${count + same}&untilMs=${untilMs}`;
}

/** Whether both are the cluster's, or both what one member has told, whatever keeps it from more. */
export function isSameTeller(known: Known | undefined, told: HistoryAnswer): known is Known {
  return known !== undefined && (known.because === "") === (told.because === "");
}

/** Whether nothing lies between what was told `before` and what is told now. */
export function meets(before: readonly HistoryEntry[], now: HistoryAnswer): boolean {
  return now.more === 0 || shares(before, now);
}

function shares(some: readonly HistoryEntry[], { entries }: HistoryAnswer): boolean {
  const keys = new Set(some.map(keyOf));
  return entries.some((each) => keys.has(keyOf(each)));
}

function inOrder(entries: readonly HistoryEntry[]): HistoryEntry[] {
  const each = new Map(entries.map((entry) => [keyOf(entry), entry]));
  return [...each.values()].toSorted((a, b) => (isNewer(a, b) ? -1 : 1)).slice(0, SHOWN_MAX);
}

function isNewer(a: HistoryEntry, b: HistoryEntry): boolean {
  if (a.atMs !== b.atMs) return a.atMs > b.atMs;
  return a.member === b.member ? a.number > b.number : a.member > b.member;
}
