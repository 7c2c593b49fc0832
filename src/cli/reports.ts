// understudy reports list|add|remove: where the couriers send reports besides PuppetDB.

import type { Command } from "commander";
import { renderDuration } from "../base/duration.ts";
import { renderTable } from "../base/table.ts";
import { type ReceiverSum, sumReceivers } from "../cluster/courier-status.ts";
import { ReportReceiver } from "../cluster/schema.ts";
import { ClusterStatus } from "../cluster/status.ts";
import { ReceiverList } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { check } from "./options.ts";
import { createOutput } from "./output.ts";

const ASK_MS = 10_000;

export function addReports(program: Command): void {
  const reports = program
    .command("reports")
    .description("where couriers send reports besides PuppetDB: to dashboards that may be down");
  reports
    .command("list")
    .description("every receiver, and what waits for it")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy reports list\n\nExit code: 0 listed, 1 the daemon doesn't answer.",
    )
    .action(async (flags: { json?: boolean }) => {
      const status = await callDaemon("GET", "/v1/status", {
        answer: ClusterStatus,
        withinMs: ASK_MS,
      });
      const seen = sumReceivers(status.members);
      const receivers = (status.settings.reportReceivers ?? []).map(
        (one) => seen.find(({ name }) => name === one.name) ?? one,
      );
      createOutput(flags.json === true).result({ receivers }, renderReceivers(receivers));
    });
  reports
    .command("add")
    .argument("<name>", "a name of its own, as in foreman")
    .argument("<url>", "where reports are posted, http or https")
    .description("send every report there too; the same name again changes its URL")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (name: string, url: string, flags: { json?: boolean }) => {
      const { name: nameRule, url: urlRule } = ReportReceiver.shape;
      const body = { name: check(nameRule, "name", name), url: check(urlRule, "url", url) };
      const list = await callDaemon("POST", "/v1/report-receivers", {
        body,
        answer: ReceiverList,
      });
      createOutput(flags.json === true).result(list, renderReceivers(list.receivers));
    });
  reports
    .command("remove")
    .argument("<name>", "as in the list")
    .description("send nothing more there; what waits for it is not sent")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy reports remove board\n\nExit code: 0 removed, 1 refused or failed.",
    )
    .action(async (name: string, flags: { json?: boolean }) => {
      const path = `/v1/report-receivers/${encodeURIComponent(name)}`;
      const list = await callDaemon("DELETE", path, { answer: ReceiverList });
      createOutput(flags.json === true).result(list, renderReceivers(list.receivers));
    });
}

/** The table; a receiver that no courier has told of yet has its name and URL only. */
export function renderReceivers(receivers: readonly (ReceiverSum | ReportReceiver)[]): string {
  if (receivers.length === 0) return "Reports go nowhere else: understudy reports add --help";
  const rows = receivers.map((one) => {
    if (!("reports" in one)) return [one.name, one.url, "-", "-", "-", "-"];
    const { name, url, because, reports, oldestMs, deadLetters } = one;
    const oldest = reports === 0 ? "-" : renderDuration(Math.round(oldestMs / 1000));
    return [name, url, because || "takes them", String(reports), oldest, String(deadLetters)];
  });
  return renderTable(["RECEIVER", "URL", "STATE", "WAITING", "OLDEST", "DEAD LETTERS"], rows);
}

const HELP = `
  understudy reports add board https://board.example.com/reports/upload

Each server needs a courier (understudy puppetdb enable) and, in the [server] section of puppet.conf,
  reports = …,http
  reporturl = https://THIS-SERVER:8081/understudy/courier/v1/reports
then a reload of puppetserver. See /usr/share/doc/understudy/reports.md.

Exit code: 0 done, 1 refused or failed.`;
