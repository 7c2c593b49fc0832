// The report for a terminal, and the figures in words, which the page shows too. Pure.

import { renderDuration } from "../base/duration.ts";
import { oneLine } from "../base/printable.ts";
import { renderTable } from "../base/table.ts";
import { failedCatalogs } from "./judge.ts";
import type { DrillReport, DrillSummary } from "./report.ts";

const TEXT_MAX = 300;

/** The verdict in one line. */
export function outcomeOf({ outcome, because, left, figures }: DrillReport): string {
  const lost = figures === undefined ? 0 : failedCatalogs(figures);
  const felt = lost === 0 ? "no catalog failed" : `${countOf(lost, "catalog")} failed`;
  const worse =
    left.length === 0
      ? "the cluster is as it was before"
      : `it isn't as before in ${countOf(left.length, "respect")}`;
  switch (outcome) {
    case "done":
      return `It went through: ${felt}, ${worse}.`;
    case "stopped":
      return `It was stopped (${because}): ${worse}.`;
    case "failed":
      return `It failed: ${because}. ${worse[0]?.toUpperCase()}${worse.slice(1)}.`;
  }
}

/** Every figure with its name. */
export function describeFigures({ figures, target }: DrillReport): [string, string][] {
  if (figures === undefined) return [["measured", "nothing"]];
  const { connects, catalogs, kept, steady, detectedMs, detectedBy = "", takeoverMs } = figures;
  const { outageMs, outages, broken, replays, reasons } = figures;
  const noticed =
    detectedMs === undefined ? "nothing was seen of it" : `after ${detectedMs} ms: ${detectedBy}`;
  return [
    ["detected", noticed],
    [
      "no new connection",
      outageMs === 0 ? "never" : `${outageMs} ms at most, ${timesOf(outages.length)}`,
    ],
    ["taken over", takeoverMs === undefined ? "-" : `${takeoverMs} ms after the act`],
    [`connections to ${target}`, describeTally(connects)],
    ["catalogs, new connection each", describeTally(catalogs)],
    [
      "catalogs, one kept connection",
      kept.count === 0
        ? "not measured from here"
        : `${describeTally(kept)}; it broke ${timesOf(broken)}`,
    ],
    [
      "before",
      `connections ${describeTally(steady.connects)}; catalogs ${describeTally(steady.catalogs)}`,
    ],
    ["sent on to another puppetserver", countOf(replays, "request")],
    ...reasons.map(({ because, count }): [string, string] => [`${count} failed`, because]),
  ];
}

function describeTally({
  count,
  failed,
  medianMs,
  slowestMs,
}: {
  count: number;
  failed: number;
  medianMs: number;
  slowestMs: number;
}): string {
  return `${count} in all, ${failed} failed, median ${medianMs} ms, slowest ${slowestMs} ms`;
}

function timesOf(count: number): string {
  if (count === 0) return "never";
  return count === 1 ? "once" : `${count} times`;
}

function countOf(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count} ${what}s`;
}

/** The report as text for people. */
export function renderReport(report: DrillReport): string {
  const { left } = report;
  const figures = describeFigures(report).map((row) => row.map((cell) => oneLine(cell, TEXT_MAX)));
  return [
    oneLine(outcomeOf(report), TEXT_MAX * 2),
    "",
    renderTable(["FIGURE", "VALUE"], figures),
    ...(left.length === 0 ? [] : ["", "Worse than before:"]),
    ...left.map((each) => ` - ${oneLine(each, TEXT_MAX)}`),
    "",
    `The whole report: understudy drill show ${report.id} --html drill.html`,
  ].join("\n");
}

/** Reports as a table, newest first. */
export function renderList(summaries: readonly DrillSummary[]): string {
  if (summaries.length === 0) return "No drill was held.";
  const rows = summaries.map((each) => [
    each.id,
    new Date(each.startMs).toISOString().replace("T", " ").slice(0, 16),
    each.kind,
    oneLine(each.server, 80),
    each.outcome === "done" && each.left > 0 ? "not as before" : each.outcome,
    each.outageMs === undefined ? "-" : `${each.outageMs} ms`,
    each.failedCatalogs === undefined ? "-" : String(each.failedCatalogs),
    renderDuration((each.endMs - each.startMs) / 1000),
    oneLine(each.by, 40),
  ]);
  const head = ["ID", "TIME (UTC)", "KIND", "SERVER", "END", "OUTAGE", "FAILED", "TOOK", "BY"];
  return renderTable(head, rows);
}
