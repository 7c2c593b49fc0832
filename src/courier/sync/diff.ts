// Reads every PuppetDB that answers, and says what differs between them.

import { messageOf } from "../../base/fault.ts";
import type { PuppetdbDiff } from "../../cluster/sync-status.ts";
import { wallMs } from "../../host/clock.ts";
import type { PuppetDbClient } from "../puppetdb-client.ts";
import { addReports, diffNodes, diffReports, type DiffRow } from "./diff-plan.ts";
import { settledBy } from "./plan.ts";
import { countReports, readReports, readSummary } from "./read.ts";
import type { ReportStamp, Summary, Window } from "./summary.ts";
import { judgeWindow, reportWindows, splitWindow } from "./windows.ts";

const ROWS_MAX = 1000;

/** Compares `clients`. Throws what breaks the reading of one off after it has begun to answer. */
export async function readDiff(
  clients: readonly PuppetDbClient[],
  signal: AbortSignal,
): Promise<PuppetdbDiff> {
  const summaries = new Map<string, Summary>();
  const missing: PuppetdbDiff["missing"] = [];
  for (const client of clients) {
    try {
      summaries.set(client.id, await readSummary(client, signal));
    } catch (error) {
      missing.push({ id: client.id, because: messageOf(error) });
    }
  }
  const compared = clients.filter(({ id }) => summaries.has(id));
  const rows = diffNodes(summaries);
  if (compared.length > 1) rows.push(...(await readReportDiff(compared, signal)));
  const shown = rows.slice(0, ROWS_MAX);
  return { compared: compared.map(({ id }) => id), missing, rows: shown, total: rows.length };
}

async function readReportDiff(
  clients: readonly PuppetDbClient[],
  signal: AbortSignal,
): Promise<DiffRow[]> {
  const rows: DiffRow[] = [];
  const nowMs = wallMs();
  const windows = reportWindows(nowMs, settledBy(nowMs, Number.NEGATIVE_INFINITY));
  for (let window = windows.shift(); window !== undefined; window = windows.shift()) {
    const most = await countMost(clients, window, signal);
    const is = judgeWindow(window, { here: 0, there: most }, true);
    if (is === "split") windows.unshift(...splitWindow(window));
    if (is !== "compare") continue;
    const reports = new Map<string, ReportStamp[]>();
    for (const client of clients) {
      const all: ReportStamp[] = [];
      for await (const report of readReports(client, window, signal)) all.push(report);
      reports.set(client.id, all);
    }
    rows.push(...diffReports(reports));
  }
  return addReports(rows);
}

async function countMost(
  clients: readonly PuppetDbClient[],
  window: Window,
  signal: AbortSignal,
): Promise<number> {
  let most = 0;
  for (const client of clients) most = Math.max(most, await countReports(client, window, signal));
  return most;
}
