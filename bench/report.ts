// A bench's result for people and programs: a table on standard output, out/bench/NAME.json, and
// beside it every single trial.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { renderTable } from "../src/base/table.ts";
import { writeFileAtomic } from "../src/host/files.ts";
import type { Figure } from "./figure.ts";
import type { Machine } from "./machine.ts";

const FOLDER = join(import.meta.dirname, "..", "out", "bench");

export interface Report {
  figures: readonly Figure[];
  machine: Machine;
  /** Trials that were made, of the figure that has most. */
  trials: number;
}

/** Writes the report, and the raw values it was made of. Returns the report's path. */
export async function writeReport(name: string, report: Report, raw: unknown): Promise<string> {
  await mkdir(FOLDER, { recursive: true });
  const path = join(FOLDER, `${name}.json`);
  await writeFileAtomic(path, `${JSON.stringify(report, undefined, 2)}\n`);
  await writeFileAtomic(
    join(FOLDER, `${name}.trials.json`),
    `${JSON.stringify(raw, undefined, 2)}\n`,
  );
  return path;
}

/** The table for people. */
export function renderReport(report: Report): string {
  const { machine, figures } = report;
  const rows = figures.map(({ name, value, unit, baseline, ratio, goal, met }) => [
    name,
    `${value} ${unit}`.trim(),
    baseline === null ? "-" : `${baseline} ${unit}`.trim(),
    ratio === null ? "-" : `${ratio}`,
    goal ?? "-",
    verdictOf(goal, met),
  ]);
  const head = ["FIGURE", "VALUE", "BASELINE", "RATIO", "GOAL", ""];
  const about = `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}`;
  return `${renderTable(head, rows)}\n\nMeasured on ${about}`;
}

function verdictOf(goal: Figure["goal"], met: Figure["met"]): string {
  if (goal === null) return "";
  if (met === null) return "too few trials";
  return met ? "met" : "NOT MET";
}
