// understudy status: the verdict first, then one line a server, then what to look at.

import type { Command } from "commander";
import { oneLine } from "../base/printable.ts";
import { pause } from "../base/retry.ts";
import { renderTable } from "../base/table.ts";
import { memberRows } from "../cluster/member-rows.ts";
import { type ClusterStatus, countReplays } from "../cluster/status.ts";
import { createOutput, type Output, reportFailure } from "./output.ts";
import { readStatus } from "./read-status.ts";

const WATCH_MS = 2000;
/** What others say, as an error page, may be long and odd. */
const TEXT_MAX = 1000;
const CELL_MAX = 200;
/** Home and clear to the end: redrawing in place doesn't flicker. */
const REDRAW = "\u001b[H\u001b[J";

export function addStatus(program: Command): void {
  program
    .command("status")
    .description(
      "what is so now: servers, etcd, addresses, puppetservers, the CA, and what to look at",
    )
    .option("--json", "print JSON")
    .option("--watch", "print it again every 2 seconds, until Ctrl-C")
    .addHelpText(
      "after",
      "\n  understudy status --watch\n\nExit code: 0 answered, whatever is so; 1 this server's daemon can't be asked.",
    )
    .action(async (options: { json?: boolean; watch?: boolean }) => {
      const output = createOutput(options.json === true);
      if (options.watch !== true) {
        const status = await readStatus();
        output.result(status, renderStatus(status));
        return;
      }
      for (;;) {
        await showOnce(output);
        await pause(WATCH_MS);
      }
    });
}

/** Asks once while watching: a daemon that is away for a moment ends nothing. */
async function showOnce(output: Output): Promise<void> {
  try {
    const status = await readStatus();
    if (!output.json) process.stdout.write(REDRAW);
    output.result(status, renderStatus(status));
  } catch (error) {
    if (!output.json) process.stdout.write(REDRAW);
    reportFailure(error, output.json);
    output.progress(`Asked again every ${WATCH_MS / 1000} seconds, until Ctrl-C.`);
  }
}

/** The status as text for people. */
export function renderStatus(status: ClusterStatus): string {
  const plain = (text: string) => oneLine(text, TEXT_MAX);
  const parts = [plain(status.verdict), "", memberTable(status)];
  const replays = replayLines(status);
  if (replays.length > 0) parts.push("", ...replays);
  if (status.notes.length > 0) parts.push("", ...status.notes.map(plain));
  if (status.warnings.length > 0) {
    parts.push("", ...status.warnings.map((text) => `! ${plain(text)}`));
  }
  return parts.join("\n");
}

/** What edges had to repeat; nothing where nothing was. */
export function replayLines({ members }: ClusterStatus): string[] {
  const replays = countReplays(members);
  return replays === 0 ? [] : [`Requests sent on to another puppetserver: ${replays}`];
}

/** A line for each member. */
export function memberTable(status: ClusterStatus): string {
  const { head, rows } = memberRows(status);
  return renderTable(
    head,
    rows.map((cells) => cells.map((cell) => oneLine(cell, CELL_MAX))),
  );
}
