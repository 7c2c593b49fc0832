// understudy metrics: this member's metrics, for Prometheus by way of node_exporter.

import type { Command } from "commander";
import { Fault, messageOf } from "../base/fault.ts";
import { renderMetrics } from "../cluster/metrics.ts";
import { LocalStatus } from "../cluster/status.ts";
import { writeFileAtomic } from "../host/files.ts";
import { callDaemon } from "../setup/daemon-client.ts";

export function addMetrics(program: Command): void {
  program
    .command("metrics")
    .description("this member's metrics, in Prometheus's text format")
    .option("--write <file>", "to a file, which is replaced as a whole")
    .addHelpText("after", HELP)
    .action(async (flags: { write?: string }) => {
      const text = renderMetrics(await callDaemon("GET", "/v1/local", { answer: LocalStatus }));
      if (flags.write === undefined) {
        process.stdout.write(text);
        return;
      }
      const file = flags.write;
      await writeFileAtomic(file, text, { mode: 0o644 }).catch((error: unknown) => {
        throw new Fault("cli.option", `--write ${file}: ${messageOf(error)}`);
      });
    });
}

const HELP = `
For node_exporter's textfile collector, from a timer or cron each minute:
  understudy metrics --write /var/lib/prometheus/node-exporter/understudy.prom
When the daemon doesn't answer nothing is written, and the file's own age tells (node_textfile_mtime_seconds).
All metrics and rules for alerts: /usr/share/doc/understudy/metrics.md

Exit code: 0 written, 1 the daemon doesn't answer.`;
