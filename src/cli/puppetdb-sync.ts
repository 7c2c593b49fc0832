// understudy puppetdb sync and diff: what this server's PuppetDB lacks is brought now, and what
// differs between all is shown.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { renderTable } from "../base/table.ts";
import { LocalStatus } from "../cluster/status.ts";
import { PuppetdbDiff, renderMoved, type SyncRound } from "../cluster/sync-status.ts";
import { SyncAsked } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { createOutput } from "./output.ts";
import { requireRoot } from "./pass-preflight.ts";

const LOOK_EVERY_MS = 1000;
/** A thousand nodes with all of their reports take an hour. */
const ROUND_MS_MAX = 86_400_000;
const DIFF_MS = 610_000;
/** Looks at a courier that knows nothing of the round: it began anew. */
const LOST_LOOKS_MAX = 10;

interface Flags {
  json?: boolean;
}

export function addPuppetdbSync(puppetdb: Command): void {
  puppetdb
    .command("sync")
    .description("bring this server's PuppetDB what the others have and it lacks, now")
    .option("--json", "print JSON")
    .addHelpText("after", SYNC_HELP)
    .action(sync);
  puppetdb
    .command("diff")
    .description("what differs between the PuppetDBs, by certname and kind")
    .option("--json", "print JSON")
    .addHelpText("after", DIFF_HELP)
    .action(diff);
}

async function sync(flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  requireRoot();
  const { id } = await callDaemon("POST", "/v1/puppetdb/sync", { body: {}, answer: SyncAsked });
  let [said, lost] = ["", 0];
  const round = await until(
    "the sync",
    async () => {
      const { courier } = await callDaemon("GET", "/v1/local", { answer: LocalStatus });
      const { running, last } = courier?.sync ?? {};
      if (last?.id === id) return last;
      lost = running === undefined ? lost + 1 : 0;
      if (lost > LOST_LOOKS_MAX) {
        throw new Fault("puppetdb.courier", "the courier began anew meanwhile", {
          hints: ["Nothing is lost: it goes on by itself. To see it: the same command again"],
        });
      }
      const line =
        running === undefined ? said : `${running.what}: ${running.done} of ${running.of}`;
      if (line !== said) output.progress(` · ${line}`);
      said = line;
      return undefined;
    },
    { withinMs: ROUND_MS_MAX, everyMs: LOOK_EVERY_MS },
  );
  output.result(round, renderRound(round));
  if (!round.ok) process.exitCode = 1;
}

/** One round as text for people. */
export function renderRound({ ok, because, moved, left, leftAlone, others }: SyncRound): string {
  const compared = others.filter((each) => each.because === "").map(({ id }) => id);
  const verdict = ok ? "level" : `not level yet: ${because}`;
  const lines = [
    `This server's PuppetDB is ${verdict}. Brought: ${renderMoved(moved)}.`,
    `Compared with: ${compared.join(" ") || "none"}.`,
  ];
  if (left > 0) {
    const rows = leftAlone.map((each) => [each.certname, each.kind, each.because]);
    lines.push(`${left} differ and stay so${left > rows.length ? ", among them" : ""}:`);
    lines.push(renderTable(["CERTNAME", "KIND", "BECAUSE"], rows));
  }
  return lines.join("\n");
}

async function diff(flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  requireRoot();
  const found = await callDaemon("GET", "/v1/puppetdb/diff", {
    answer: PuppetdbDiff,
    withinMs: DIFF_MS,
  });
  output.result(found, renderDiff(found));
  if (found.total > 0 || found.missing.length > 0) process.exitCode = 3;
}

/** What differs as text for people. */
export function renderDiff({ compared, missing, rows, total }: PuppetdbDiff): string {
  const lines = missing.map(({ id, because }) => `${id}'s PuppetDB wasn't compared: ${because}`);
  if (compared.length < 2)
    return [...lines, "Nothing to compare: fewer than two answer."].join("\n");
  if (total === 0) return [...lines, `No difference between ${compared.join(" and ")}.`].join("\n");
  const cells = rows.map(({ certname, kind, has }) => [
    certname,
    kind,
    ...compared.map((id) => has[id] ?? "-"),
  ]);
  lines.push(renderTable(["CERTNAME", "KIND", ...compared], cells));
  if (total > rows.length) lines.push(`and ${total - rows.length} more`);
  return lines.join("\n");
}

const SYNC_HELP = `
  understudy puppetdb sync

It runs by itself after PuppetDB was down, and every ten minutes. Interrupted, it goes on; what is level is left alone.

Exit code: 0 level, 1 refused, or not level yet.`;

const DIFF_HELP = `
  understudy puppetdb diff

Compares all that answer, reports of the last 13 days among them. What agents send meanwhile may differ for a moment.

Exit code: 0 no difference, 3 differences or one that wasn't compared, 1 failed.`;
