// What `understudy top` shows: one frame of text for a screen of some size, from one status. Pure.
// The verdict and what is wrong come first; what doesn't fit is counted, never cut off in silence.

import { oneLine } from "../base/printable.ts";
import { renderTable } from "../base/table.ts";
import { judgeCapacity } from "../cluster/capacity.ts";
import { type Puppetserver, sumPuppetservers } from "../cluster/puppetservers.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import type { HistoryAnswer } from "../setup/history-contract.ts";
import { describeEntry, renderTime } from "./history.ts";
import { memberTable, replayLines } from "./status.ts";

/** What puppetservers can be sorted by, in the order of their columns. */
export const SORTS = ["name", "busy", "waiting", "rate", "answers"] as const;
export type Sort = (typeof SORTS)[number];

export interface Look {
  sort: Sort;
  /** Smallest first; by name, last letter first. */
  reverse: boolean;
  paused: boolean;
}

/** What is known, and when it was asked for. */
export interface Shown {
  status: ClusterStatus;
  at: string;
  /** What happened last; absent until it was read. */
  history?: HistoryAnswer;
}

export interface Size {
  columns: number;
  rows: number;
}

const MEMBER_MAX = 60;
const KEYS = "q quits   < > sort by   r reverses   space pauses";

/** The lines of one frame, each at most as wide and all of them at most as many as `size` says. */
export function renderFrame({ status, at, history }: Shown, look: Look, size: Size): string[] {
  const { jrubies, now } = judgeCapacity(status.members);
  const load = `load ${now.toFixed(1)} of ${jrubies} JRubies`;
  const paused = look.paused ? "PAUSED   " : "";
  const foot = `${at}   ${paused}${load}   ${KEYS}`;
  const body = [
    ...sectionOf(memberTable(status)),
    ...sectionOf(puppetserverTable(status, look)),
    ...replayLines(status),
    ...status.notes,
    ...status.warnings.map((warning) => `! ${warning}`),
    // Last, and the newest first: of a low screen the oldest are left out.
    ...(history === undefined ? [] : ["", ...eventTable(history).split("\n")]),
  ];
  const room = Math.max(0, size.rows - 3);
  const shown = body.length <= room ? body : body.slice(0, Math.max(0, room - 1));
  const more = body.length - shown.length;
  const lines = [status.verdict, "", ...shown, ...(more > 0 ? [`… ${more} more lines`] : [])];
  const gap = Array.from({ length: Math.max(0, size.rows - 1 - lines.length) }, () => "");
  return [...lines, ...gap, foot].slice(0, size.rows).map((line) => clip(line, size.columns));
}

function sectionOf(table: string): string[] {
  return [...table.split("\n"), ""];
}

function eventTable({ entries, because }: HistoryAnswer): string {
  const whose = because === "" ? "" : ", as this member has told them: the record can't be read";
  return renderTable(
    ["TIME (UTC)", "MEMBER", `LAST EVENTS${whose}`],
    entries.toReversed().map((entry) => {
      return [renderTime(entry.atMs), oneLine(entry.member, MEMBER_MAX), describeEntry(entry)];
    }),
  );
}

function puppetserverTable({ members }: ClusterStatus, { sort, reverse }: Look): string {
  const sorted = sortRows(sumPuppetservers(members), sort);
  const head = ["PUPPETSERVER", "BUSY", "WAITING", "PER S", "ANSWERS IN"].map((title, column) =>
    SORTS[column] === sort ? `${title}${reverse ? "^" : "v"}` : title,
  );
  return renderTable(
    [...head, "STATE"],
    (reverse ? sorted.toReversed() : sorted).map((row) => [
      row.name,
      `${row.busy} of ${row.jrubies}`,
      String(row.waiting),
      row.perS.toFixed(1),
      row.responseMs === 0 ? "-" : `${(row.responseMs / 1000).toFixed(2)} s`,
      `${row.state} ${row.state === "up" ? "" : row.because}`.trim(),
    ]),
  );
}

/** By name the first, by a number the largest first. */
function sortRows(rows: readonly Puppetserver[], sort: Sort): Puppetserver[] {
  const by: Record<Sort, (row: Puppetserver) => number> = {
    name: () => 0,
    busy: ({ busy }) => busy,
    waiting: ({ waiting }) => waiting,
    rate: ({ perS }) => perS,
    answers: ({ responseMs }) => responseMs,
  };
  return rows.toSorted((a, b) => by[sort](b) - by[sort](a) || a.name.localeCompare(b.name));
}

/** What a key changes; undefined: nothing. */
export function withKey(look: Look, key: string): Look | undefined {
  const next = (step: number) => {
    const at = SORTS.indexOf(look.sort) + step;
    return { ...look, sort: SORTS[(at + SORTS.length) % SORTS.length] ?? look.sort };
  };
  switch (key) {
    case "<":
    case "left":
      return next(-1);
    case ">":
    case "right":
      return next(1);
    case "r":
      return { ...look, reverse: !look.reverse };
    case "space":
      return { ...look, paused: !look.paused };
    default:
      return undefined;
  }
}

/** At most so many characters; whatever a name has in it moves no cursor. */
function clip(line: string, columns: number): string {
  const plain = Array.from(line.replaceAll(/\p{Cc}/gu, "?"));
  if (plain.length <= columns) return plain.join("");
  return `${plain.slice(0, Math.max(0, columns - 1)).join("")}…`;
}
