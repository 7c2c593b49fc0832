// understudy incident: one timeline of all members' own records, to be read or handed on.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { Incident, type IncidentLine } from "../cluster/history/incident.ts";
import { wallMs } from "../host/clock.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { describeEntry, readSpan, renderTime } from "./history.ts";
import { createOutput } from "./output.ts";

const TEXT_MAX = 400;
/** A clock that is less off than this is shown as right, milliseconds. */
const OFFSET_SHOWN_MS = 100;

interface Flags {
  since: string;
  until?: string;
  format: string;
}

export function addIncident(program: Command): void {
  program
    .command("incident")
    .description("one timeline of what all members recorded, their clocks corrected")
    .requiredOption("--since <when>", "a duration ago (2h) or a time (2026-11-20T10:00Z)")
    .option("--until <when>", "up to then; else up to now")
    .option("--format <format>", "markdown or json", "markdown")
    .addHelpText("after", HELP)
    .action(async ({ since, until, format }: Flags) => {
      if (format !== "markdown" && format !== "json") {
        throw new Fault("cli.option", `--format "${format}": markdown or json`);
      }
      const span = { since, ...(until !== undefined && { until }) };
      const path = `/v1/incident?${readSpan(span, wallMs()).toString()}`;
      const incident = await callDaemon("GET", path, { answer: Incident });
      createOutput(format === "json").result(incident, renderIncident(incident));
    });
}

/** The incident as Markdown, for people and tickets. */
export function renderIncident(incident: Incident): string {
  const { sinceMs, untilMs, lines, members, missing } = incident;
  return [
    `# What happened from ${renderTime(sinceMs)} to ${renderTime(untilMs)} UTC`,
    "",
    ...members.map(({ member, offsetMs, leftOut }) => {
      const clock =
        Math.abs(offsetMs) < OFFSET_SHOWN_MS
          ? ""
          : `: its clock is ${renderOffset(offsetMs)}, corrected`;
      const few = leftOut === 0 ? "" : `; ${leftOut} older entries are left out`;
      return `- ${plain(member)} was asked${clock}${few}.`;
    }),
    ...missing.map(({ member, because }) => {
      return `- **${plain(member)} couldn't be asked** (${plain(because)}): only what the record has of it is here.`;
    }),
    ...(incident.more === 0 ? [] : [`- ${incident.more} older lines are left out.`]),
    ...(incident.recordBecause === ""
      ? []
      : [
          `- The record couldn't be read (${plain(incident.recordBecause)}): members' own words only.`,
        ]),
    "",
    ...(lines.length === 0 ? ["Nothing was recorded."] : renderLines(lines)),
  ].join("\n");
}

function renderLines(lines: readonly IncidentLine[]): string[] {
  const rows = lines.map((line) => {
    const { atMs, member, kind, by, alsoSeenBy, times, lastMs, uncorrected } = line;
    const others = alsoSeenBy.length === 0 ? "" : ` [seen by ${alsoSeenBy.join(", ")} too]`;
    const until = lastMs === undefined ? "" : `, last ${renderTime(lastMs).slice(11)}`;
    const often = times === undefined ? "" : ` [${times} times${until}]`;
    const mark = uncorrected ? " (?)" : "";
    const what = describeEntry({ ...line, number: 1 });
    const time = `${renderTime(atMs)}.${String(Math.floor(atMs) % 1000).padStart(3, "0")}${mark}`;
    const cells = [time, member, kind, `${what}${often}${others}`, by || "-"].map(plain);
    return `| ${cells.join(" | ")} |`;
  });
  const unsure = lines.some(({ uncorrected }) => uncorrected)
    ? ["", "(?): from the record, by a clock that couldn't be compared."]
    : [];
  return [
    "| time (UTC) | member | kind | what | by |",
    "|---|---|---|---|---|",
    ...rows,
    ...unsure,
  ];
}

/** As a cell of a Markdown table: nothing in it may end the cell, or be markup. */
function plain(text: string): string {
  return oneLine(text, TEXT_MAX).replaceAll(/[\\`*_|<>[\]#~]/g, (mark) => `\\${mark}`);
}

function renderOffset(ms: number): string {
  return `${(Math.abs(ms) / 1000).toFixed(1)} s ${ms > 0 ? "ahead" : "behind"}`;
}

const HELP = `
  understudy incident --since 2h > incident.md
  understudy incident --since 2026-11-20T10:00Z --until 2026-11-20T11:00Z --format json

Every member that answers gives its own entries, also those that never came into etcd, and what its
loops planned since its daemon's start. Times are corrected by how far clocks are apart now.

Exit code: 0 written, 1 this server's daemon can't be asked.`;
