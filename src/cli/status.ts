// understudy status: the verdict first, then one line a server, then what to look at.

import type { Command } from "commander";
import { renderDuration } from "../base/duration.ts";
import { pause } from "../base/retry.ts";
import { renderTable } from "../base/table.ts";
import { ClusterStatus, type MemberAnswer } from "../cluster/status.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { createOutput } from "./output.ts";

const WATCH_MS = 2000;

export function addStatus(program: Command): void {
  program
    .command("status")
    .description(
      "what is so now: servers, etcd, addresses, puppetservers, the CA, and what to look at",
    )
    .option("--json", "print JSON")
    .option("--watch", "print it again every 2 seconds, until Ctrl-C")
    .addHelpText("after", "\nExit code: 0 answered, 1 this server's daemon can't be asked.")
    .action(async (options: { json?: boolean; watch?: boolean }) => {
      const output = createOutput(options.json === true);
      do {
        const status = await callDaemon("GET", "/v1/status", { answer: ClusterStatus });
        // Home and clear to the end: redrawing in place doesn't flicker.
        if (options.watch === true && !output.json) process.stdout.write("\u001b[H\u001b[J");
        output.result(status, renderStatus(status));
        if (options.watch === true) await pause(WATCH_MS);
      } while (options.watch === true);
    });
}

/** The status as text for people. */
export function renderStatus(status: ClusterStatus): string {
  const rows = status.members.map((answer) => row(answer));
  const head = ["MEMBER", "ROLE", "STATE", "ETCD", "ADDRESS", "PUPPETSERVER", "CA", "VERSION"];
  const parts = [status.verdict, "", renderTable(head, rows)];
  const replays = replayed(status.members);
  if (replays > 0) parts.push("", `Requests replayed after a puppetserver's death: ${replays}`);
  if (status.warnings.length > 0) parts.push("", ...status.warnings.map((text) => `! ${text}`));
  return parts.join("\n");
}

function row({ member, local }: MemberAnswer): string[] {
  if (local === undefined) {
    return [member.id, member.role, "no answer", "?", "?", "?", "?", member.version];
  }
  return [
    member.id,
    member.role,
    member.phase,
    local.etcd.runs === "no" ? "client" : local.etcd.runs,
    local.addresses.join(" ") || "-",
    renderBackends(local),
    renderCa(local),
    local.version,
  ];
}

function renderBackends(local: NonNullable<MemberAnswer["local"]>): string {
  const own = local.edge?.backends.filter((backend) => backend.member === local.id) ?? [];
  if (own.length === 0) return "-";
  return own
    .map(({ state, busy, jrubies, waiting, because }) =>
      state === "up" ? `${busy} of ${jrubies} busy, ${waiting} wait` : `${state} ${because}`.trim(),
    )
    .join("; ");
}

function renderCa(local: NonNullable<MemberAnswer["local"]>): string {
  const { ca } = local;
  if (ca === undefined) return "-";
  if (!ca.serving) return "not serving";
  const next = ca.nextExpiry;
  const seconds = next === undefined ? undefined : (Date.parse(next.at) - local.wallMs) / 1000;
  const expiry = seconds === undefined ? "" : `, next expiry in ${renderDuration(seconds)}`;
  return `${ca.requests} waiting${expiry}`;
}

function replayed(members: MemberAnswer[]): number {
  return members.reduce((sum, { local }) => sum + (local?.edge?.replays ?? 0), 0);
}
