// What differs between PuppetDBs, by certname and kind, for people. Pure.

import type { PuppetdbDiff } from "../../cluster/sync-status.ts";
import { isoTime } from "../../host/clock.ts";
import { NODE_KINDS, type NodeSummary, type ReportStamp, type Summary } from "./summary.ts";

export type DiffRow = PuppetdbDiff["rows"][number];

/** Nodes that aren't the same in all of `summaries`, which are by PuppetDB. */
export function diffNodes(summaries: ReadonlyMap<string, Summary>): DiffRow[] {
  const certnames = new Set([...summaries.values()].flatMap((summary) => [...summary.keys()]));
  return [...certnames].toSorted().flatMap((certname) => {
    const nodes = [...summaries].map(([id, summary]) => [id, summary.get(certname)] as const);
    return [...NODE_KINDS, "state" as const].flatMap((kind) => {
      const has = nodes.flatMap(([id, node]) => {
        const said = node === undefined ? undefined : sayOf(node, kind);
        return said === undefined ? [] : [[id, said] as const];
      });
      const isSame =
        new Set(has.map(([, said]) => said)).size <= 1 &&
        (has.length === 0 || has.length === nodes.length);
      return isSame ? [] : [{ certname, kind, has: Object.fromEntries(has) }];
    });
  });
}

/** PuppetDBs that got the same command have the same time, whatever they made of it. */
function sayOf(node: NodeSummary, kind: (typeof NODE_KINDS)[number] | "state"): string | undefined {
  if (kind !== "state") {
    const { ms } = node[kind] ?? {};
    return ms === undefined ? undefined : isoTime(ms);
  }
  if (node.deactivatedMs !== undefined) return `deactivated ${isoTime(node.deactivatedMs)}`;
  // Each finds that by itself, at another time.
  return node.expiredMs === undefined ? "active" : "expired";
}

/** How many reports of each certname a PuppetDB has that another lacks. */
export function diffReports(reports: ReadonlyMap<string, readonly ReportStamp[]>): DiffRow[] {
  const counts = new Map<string, number>();
  for (const { hash } of [...reports.values()].flat()) {
    counts.set(hash, (counts.get(hash) ?? 0) + 1);
  }
  const rows = new Map<string, DiffRow>();
  for (const [id, all] of reports) {
    for (const { hash, certname } of all) {
      if (counts.get(hash) === reports.size) continue;
      const row = rows.get(certname) ?? { certname, kind: "reports", has: {} };
      row.has[id] = String(Number(row.has[id] ?? 0) + 1);
      rows.set(certname, row);
    }
  }
  return [...rows.values()];
}

/** Rows of several windows as one for each certname. */
export function addReports(rows: readonly DiffRow[]): DiffRow[] {
  const sums = new Map<string, DiffRow>();
  for (const { certname, has } of rows) {
    const sum = sums.get(certname) ?? { certname, kind: "reports", has: {} };
    for (const [id, count] of Object.entries(has)) {
      sum.has[id] = String(Number(sum.has[id] ?? 0) + Number(count));
    }
    sums.set(certname, sum);
  }
  return [...sums.values()].toSorted((a, b) => a.certname.localeCompare(b.certname));
}
