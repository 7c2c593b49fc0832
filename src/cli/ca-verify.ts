// understudy ca verify: checks the certificate authority's record, this server's CA directory, and
// what every edge refuses.

import type { Command } from "commander";
import { renderTable } from "../base/table.ts";
import { ClusterStatus } from "../cluster/status.ts";
import { CaVerified } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { createOutput, EXIT } from "./output.ts";

/** A hundred thousand certificates take a quarter of a minute. */
const VERIFY_MS = 300_000;
const STATUS_MS = 30_000;

type Finding = CaVerified["findings"][number];

export function addCaVerify(ca: Command): void {
  ca.command("verify")
    .description("check the whole record, this server's CA directory and every edge")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy ca verify\n\nChanges nothing.\n\nExit code: 0 all is as it must be, 1 something isn't, 3 etcd or an edge can't be asked.",
    )
    .action(async ({ json }: { json?: boolean }) => {
      const output = createOutput(json === true);
      output.progress("Checking every signature; 10,000 certificates take seconds.");
      const checked = await callDaemon("GET", "/v1/ca/verify", {
        answer: CaVerified,
        withinMs: VERIFY_MS,
      });
      const status = await callDaemon("GET", "/v1/status", {
        answer: ClusterStatus,
        withinMs: STATUS_MS,
      });
      const edges = judgeEdges(status, checked.crlNumber);
      output.result({ ...checked, edges }, renderVerified(checked, edges));
      process.exitCode = exitCodeOf(checked, edges);
    });
}

/** What the edges of the members say of CRL `crlNumber`. */
export interface Edges {
  confirmed: string[];
  /** Those that don't refuse all of it, or didn't answer, and why. */
  missing: Finding[];
}

/** Which edges refuse everything that the CRL revokes, as far as they answer. */
export function judgeEdges({ members }: ClusterStatus, crlNumber: number): Edges {
  const edges: Edges = { confirmed: [], missing: [] };
  for (const { member, local, because } of members) {
    if (member.role !== "server") continue;
    const confirmed = local?.edge?.confirmedCrl;
    if (confirmed !== undefined && confirmed >= crlNumber) edges.confirmed.push(member.id);
    else {
      const upTo = `refuses what CRL ${confirmed} revokes, and the newest is ${crlNumber}`;
      edges.missing.push({ what: member.id, because: confirmed === undefined ? because : upTo });
    }
  }
  return edges;
}

/** What is good in a few lines, then a table of what isn't. */
export function renderVerified(checked: CaVerified, { confirmed, missing }: Edges): string {
  const { certificates, names, requests, revocations, crlNumber, fresh, findings, found } = checked;
  const all = confirmed.length + missing.length;
  const lines = [
    `${certificates} certificates of ${names} names, ${requests} requests, ${revocations} revocations`,
    `CRL ${crlNumber}: refused by ${confirmed.length} of ${all} edges`,
    ...(fresh ? [] : ["etcd can't be read: what this server knew last was checked."]),
  ];
  if (found + missing.length === 0) return [...lines, "All is as it must be."].join("\n");
  const rows = [...findings, ...missing].map(({ what, because }) => [what, because]);
  const more = found > findings.length ? [`… and ${found - findings.length} more`] : [];
  const table = renderTable(["WHAT", "IS WRONG"], rows).trimEnd();
  return [...lines, "", table, ...more].join("\n");
}

export function exitCodeOf({ found, fresh }: CaVerified, { missing }: Edges): number {
  if (found > 0) return EXIT.failed;
  return missing.length === 0 && fresh ? EXIT.ok : EXIT.unconfirmed;
}
