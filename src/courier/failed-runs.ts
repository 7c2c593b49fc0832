// Agents' runs that failed, seen in reports as they are taken: the last few are kept in memory for
// whoever asks (the daemon). Danger: reports come from agents' side, so nothing of their shape is
// taken for granted, and every text is bounded. What is forgotten here is in PuppetDB all the same.

import { randomBytes } from "node:crypto";
import type { FailedRun, FailedRuns } from "../cluster/failed-runs.ts";

/** How many are kept; of more the oldest go, and the numbers tell. */
const RUNS_MAX = 300;
const RESOURCES_MAX = 5;
/** Resources, events and log lines of one report that are looked at. */
const LOOKED_AT_MAX = 5000;
const TEXT_MAX = 300;

/** A failed run, before it has its number. */
export type SeenFailedRun = Omit<FailedRun, "number" | "takenMs">;

export interface FailedRunsKept {
  note(run: SeenFailedRun, takenMs: number): void;
  list(): FailedRuns;
}

export function createFailedRuns(): FailedRunsKept {
  const life = randomBytes(8).toString("hex");
  const runs: FailedRun[] = [];
  let number = 0;
  return {
    note(run, takenMs) {
      number += 1;
      runs.push({ number, takenMs, ...run });
      if (runs.length > RUNS_MAX) runs.shift();
    },
    list: () => ({ life, runs: [...runs] }),
  };
}

/** What a report (PuppetDB's wire format) says of a failed run; undefined: it didn't fail. */
export function failedRunOf(report: Readonly<Record<string, unknown>>): SeenFailedRun | undefined {
  if (report["status"] !== "failed") return undefined;
  const failed = listOf(report["resources"]).filter(isFailed);
  const first = failed.slice(0, RESOURCES_MAX).map((resource) => ({
    name: `${text(resource["resource_type"])}[${text(resource["resource_title"])}]`.slice(
      0,
      TEXT_MAX,
    ),
    where: whereOf(resource),
    message: text(failures(resource)[0]?.["message"]),
  }));
  return {
    certname: text(report["certname"]).slice(0, 253),
    environment: text(report["environment"]).slice(0, 120),
    resources: first.length > 0 ? first : fromLogs(report["logs"]),
    more: Math.max(0, failed.length - RESOURCES_MAX),
  };
}

/** A run without a catalog has only its log to say why. */
function fromLogs(logs: unknown): SeenFailedRun["resources"] {
  const errors = listOf(logs).filter(({ level }) =>
    ["err", "crit", "alert", "emerg"].includes(text(level)),
  );
  return errors.slice(0, RESOURCES_MAX).map((line) => ({
    name: text(line["source"]),
    where: whereOf(line),
    message: text(line["message"]),
  }));
}

function isFailed(resource: Record<string, unknown>): boolean {
  return failures(resource).length > 0;
}

function failures({ events }: Record<string, unknown>): Record<string, unknown>[] {
  return listOf(events).filter(({ status }) => status === "failure");
}

function whereOf({ file, line }: Record<string, unknown>): string {
  if (typeof file !== "string" || file === "") return "";
  return text(typeof line === "number" ? `${file}:${line}` : file);
}

/** The objects of a list, which may be in `data` as PuppetDB's own answers have it. */
function listOf(value: unknown): Record<string, unknown>[] {
  const list: unknown = Array.isArray(value) ? value : (value as { data?: unknown } | null)?.data;
  if (!Array.isArray(list)) return [];
  return (list.slice(0, LOOKED_AT_MAX) as unknown[]).filter(
    (each): each is Record<string, unknown> =>
      typeof each === "object" && each !== null && !Array.isArray(each),
  );
}

function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, TEXT_MAX) : "";
}
