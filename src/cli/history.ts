// understudy history: what happened in the cluster, newest last.

import type { Command } from "commander";
import { parseDuration, renderDuration } from "../base/duration.ts";
import { Fault } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { renderTable } from "../base/table.ts";
import { ENTRIES_MAX, type HistoryEntry } from "../cluster/history/entry.ts";
import { KINDS } from "../cluster/history/kinds.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { HistoryAnswer } from "../setup/history-contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { createOutput } from "./output.ts";

const WHAT_MAX = 400;
const BY_MAX = 60;
const LIMIT = 100;

interface Flags {
  since?: string;
  until?: string;
  kind?: string[];
  limit: string;
  json?: boolean;
}

export function addHistory(program: Command): void {
  program
    .command("history")
    .description("what happened: who holds addresses, who joined or left, what was done and why")
    .option("--since <when>", "from then on: a duration ago (2h, 3d) or a time (2026-11-20T10:00Z)")
    .option("--until <when>", "up to then, likewise")
    .option("--kind <kind...>", "only these kinds, see below")
    .option("--limit <count>", `the newest so many, up to ${ENTRIES_MAX}`, String(LIMIT))
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (flags: Flags) => {
      const answer = await callDaemon("GET", `/v1/history?${readQuery(flags, wallMs())}`, {
        answer: HistoryAnswer,
      });
      createOutput(flags.json === true).result(answer, renderHistory(answer));
    });
}

/** The query that the options ask for. Throws Fault `cli.option`, `base.duration`. */
export function readQuery(flags: Flags, nowMs: number): string {
  const query = readSpan(flags, nowMs);
  const kinds = (flags.kind ?? []).flatMap((text) => text.split(","));
  const unknown = kinds.find((kind) => !Object.hasOwn(KINDS, kind));
  if (unknown !== undefined) {
    throw new Fault("cli.option", `--kind "${unknown}" is no kind`, {
      hints: [`There are: ${Object.keys(KINDS).join(", ")}`],
    });
  }
  if (kinds.length > 0) query.set("kinds", kinds.join(","));
  const limit = Number(flags.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > ENTRIES_MAX) {
    throw new Fault("cli.option", `--limit "${flags.limit}": a number from 1 to ${ENTRIES_MAX}`);
  }
  query.set("limit", String(limit));
  return query.toString();
}

/** The part of a query that says of which time. Throws Fault `cli.option`, `base.duration`. */
export function readSpan(
  { since, until }: Pick<Flags, "since" | "until">,
  nowMs: number,
): URLSearchParams {
  const query = new URLSearchParams();
  const sinceMs = since === undefined ? undefined : readWhen(since, nowMs);
  const untilMs = until === undefined ? undefined : readWhen(until, nowMs);
  if (sinceMs !== undefined) query.set("sinceMs", String(sinceMs));
  if (untilMs !== undefined) query.set("untilMs", String(untilMs));
  if (sinceMs !== undefined && untilMs !== undefined && untilMs < sinceMs) {
    throw new Fault("cli.option", `--until ${until} is before --since ${since}`);
  }
  return query;
}

/** A time as people say it: so long ago, or a date. Throws Fault `cli.option`. */
export function readWhen(text: string, nowMs: number): number {
  if (/^[\dydhms ]+$/.test(text) && !/^\d{4}$/.test(text)) {
    return Math.max(0, nowMs - parseDuration(text) * 1000);
  }
  // By itself JavaScript would take a bare day for one of UTC.
  const whole = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text.replace(" ", "T");
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(whole) : Number.NaN;
  if (!Number.isNaN(ms)) return Math.max(0, ms);
  throw new Fault("cli.option", `"${text}" is no time`, {
    hints: ["So long ago: 2h, 3d. A time: 2026-11-20, 2026-11-20T10:00 (of this server), …T10:00Z"],
  });
}

/** The table for people, newest last. */
export function renderHistory({ entries, more, because }: HistoryAnswer): string {
  const rows = entries.map((entry) => [
    renderTime(entry.atMs),
    oneLine(entry.member, BY_MAX),
    oneLine(entry.kind, BY_MAX),
    oneLine(entry.by, BY_MAX) || "-",
    // Last: a reason may be long, and others' columns must not move for it.
    describeEntry(entry),
  ]);
  const lines: string[] = [];
  if (more > 0) lines.push(`${more} older entries: --limit, --since`, "");
  lines.push(entries.length === 0 ? "Nothing happened." : renderTable(HEAD, rows));
  if (because !== "") {
    lines.push(
      "",
      `! Only what this member itself has told: the record can't be read (${oneLine(because, WHAT_MAX)}).`,
      "  What all members that can be asked have told: understudy incident --since 2h",
    );
  }
  return lines.join("\n");
}

const HEAD = ["TIME (UTC)", "MEMBER", "KIND", "BY", "WHAT"];

/** What happened with its reason, its parts' lengths, and what was left out before it. */
export function describeEntry({ what, because, stages = [], leftOut = 0 }: HistoryEntry): string {
  const parts = [what];
  if (because !== "") parts.push(`: ${because}`);
  if (stages.length > 0) {
    const took = stages.map(({ what, ms }) => `${what} ${renderMs(ms)}`).join(", ");
    parts.push(` (took ${took})`);
  }
  if (leftOut > 0) {
    parts.push(` [${leftOut} ${leftOut === 1 ? "change" : "changes"} before it left out]`);
  }
  return oneLine(parts.join(""), WHAT_MAX);
}

/** "2026-11-20 10:00:00" of UTC. */
export function renderTime(ms: number): string {
  const text = Number.isFinite(new Date(ms).getTime()) ? isoTime(ms) : "?";
  return text.replace("T", " ").slice(0, 19);
}

function renderMs(ms: number): string {
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : renderDuration(ms / 1000);
}

const [FIRST_KIND = [], ...KIND_ROWS] = Object.entries(KINDS).map(([kind, what]) => [
  `  ${kind}`,
  what,
]);

const HELP = `
Kinds:
${renderTable(FIRST_KIND, KIND_ROWS)}

  understudy history --since 2h
  understudy history --since 7d --kind address member
Certificates that were signed are not here: understudy ca list --all has them.

Exit code: 0 answered, 1 this server's daemon can't be asked.`;
