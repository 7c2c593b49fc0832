// understudy why: the evidence for what is so, and what to type.

import type { Command } from "commander";
import { oneLine } from "../base/printable.ts";
import { renderTable } from "../base/table.ts";
import { Explanation, TOPICS } from "../cluster/why/explain.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { renderTime } from "./history.ts";
import { createOutput } from "./output.ts";

const TEXT_MAX = 400;

export function addWhy(program: Command): void {
  program
    .command("why")
    .argument("[about]", "vip, ca, puppetdb, not-ready, or a member's name", "not-ready")
    .description("why something is so: what members say, planned and saw, and what to type")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (about: string, options: { json?: boolean }) => {
      const path = `/v1/why?${new URLSearchParams({ about }).toString()}`;
      const explanation = await callDaemon("GET", path, { answer: Explanation });
      createOutput(options.json === true).result(explanation, renderExplanation(explanation));
    });
}

/** The verdict, what speaks for it, and what to type. */
export function renderExplanation({ verdict, evidence, todo, missing }: Explanation): string {
  const rows = evidence.map(({ atMs, source, what }) => [
    atMs === undefined ? "now" : renderTime(atMs),
    oneLine(source, TEXT_MAX),
    oneLine(what, TEXT_MAX),
  ]);
  const lines = [oneLine(verdict, 2 * TEXT_MAX)];
  if (rows.length > 0) lines.push("", renderTable(["TIME (UTC)", "SOURCE", "EVIDENCE"], rows));
  if (missing.length > 0) lines.push("");
  for (const { member, because } of missing) {
    lines.push(`! ${oneLine(member, TEXT_MAX)} couldn't be asked: ${oneLine(because, TEXT_MAX)}`);
  }
  if (todo.length > 0) lines.push("", ...todo.map((text) => `→ ${oneLine(text, TEXT_MAX)}`));
  return lines.join("\n");
}

const HELP = `
  understudy why vip            why an address is where it is
  understudy why s3             why a member is as it is; its name up to a dot is enough
  understudy why                why the cluster isn't as ready as it could be

It needs no etcd: it asks every member, and names those that can't be asked. Topics: ${Object.keys(TOPICS).join(", ")}.
What members' loops planned is in their daemons' memory, since their last start.

Exit code: 0 answered, 1 this server's daemon can't be asked, or there is no such member.`;
