// Lines of evidence out of what members hand out. Pure.

import type { HistoryEntry } from "../history/entry.ts";
import type { Case, Line } from "./explain.ts";

/** Entries and acts of one topic that are shown at most. */
const PAST_MAX = 12;

/** What happened, as far as `wanted`: each entry once, what several saw as the first did. */
export function happened({ evidence }: Case, wanted: (entry: HistoryEntry) => boolean): Line[] {
  const entries = evidence.flatMap((each) => each.entries).filter(wanted);
  const sorted = entries.toSorted((a, b) => a.atMs - b.atMs);
  const seen = new Map<string, HistoryEntry>();
  for (const entry of sorted) {
    const { seen: mark, atMs } = entry;
    // The same sight of several members is one line.
    const key =
      mark === undefined
        ? `${entry.member} ${entry.number}`
        : `${mark.subject} ${mark.state} ${Math.floor(atMs / 60_000)}`;
    if (!seen.has(key)) seen.set(key, entry);
  }
  return [...seen.values()].slice(-PAST_MAX).map(({ atMs, member, what, because, by }) => ({
    atMs,
    source: `${member}: history`,
    what: `${what}${because === "" ? "" : `: ${because}`}${by === "" ? "" : ` (${by})`}`,
  }));
}

/** What loops planned, as far as `wanted`. */
export function planned(
  { evidence }: Case,
  wanted: (member: string, loop: string) => boolean,
): Line[] {
  const lines = evidence.flatMap(({ member, acts }) =>
    acts
      .filter(({ loop }) => wanted(member, loop))
      .map(({ loop, do: act, because, lastMs, times }) => ({
        atMs: lastMs,
        source: `${member}: loop "${loop}"`,
        what: `${act}: ${because}${times > 1 ? ` (${times} times)` : ""}`,
      })),
  );
  return lines.toSorted((a, b) => a.atMs - b.atMs).slice(-PAST_MAX);
}

/** What is so now. */
export function now(member: string, what: string): Line {
  return { source: `${member}: now`, what };
}

/** Notes and warnings of the status that `wanted` is of. */
export function warned({ status }: Case, wanted: (text: string) => boolean): Line[] {
  return [...status.notes, ...status.warnings]
    .filter(wanted)
    .map((what) => ({ source: `${status.answeredBy}: status`, what }));
}

/** Whether `text` names `id`, and not only another one that begins or ends like it. */
export function names(text: string, id: string): boolean {
  for (let at = text.indexOf(id); at !== -1; at = text.indexOf(id, at + 1)) {
    const before = text.slice(Math.max(0, at - 1), at);
    const after = text.slice(at + id.length, at + id.length + 2);
    // "s1." may end a sentence; "s1.lab" is another name.
    if (!/[\w.-]/.test(before) && !/^(?:[\w-]|\.[\w-])/.test(after)) return true;
  }
  return false;
}
