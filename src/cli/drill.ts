// understudy drill: something is broken on purpose, measured as agents see it, and brought back.

import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { Fault, messageOf } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { pause } from "../base/retry.ts";
import { DRILL_KINDS, DrillId, type DrillKind } from "../cluster/drill.ts";
import { KINDS } from "../drill/kinds.ts";
import { renderHtml } from "../drill/render-html.ts";
import { renderList, renderReport } from "../drill/render-text.ts";
import type { DrillReport } from "../drill/report.ts";
import { monotonicMs } from "../host/clock.ts";
import { Done } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import {
  type DrillAsk,
  DrillPlanAnswer,
  DrillProgress,
  DrillReportAnswer,
  DrillReports,
  DrillStarted,
} from "../setup/drill-contract.ts";
import { MemberName } from "../setup/work-contract.ts";
import { confirm } from "./confirm.ts";
import { check } from "./options.ts";
import { createOutput, EXIT, type Output } from "./output.ts";

const LOOK_MS = 500;
const ASK_MS = 15_000;
/** The daemon may be away for a while; the drill ends with it, and is undone by a timer. */
const AWAY_MS = 30_000;
const LINE_MAX = 300;

interface Flags {
  server?: string;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
}

export function addDrill(program: Command): void {
  const drill = program
    .command("drill")
    .description("break something on purpose, and measure what agents notice")
    .addHelpText("after", HELP);
  for (const kind of DRILL_KINDS) {
    drill
      .command(kind)
      .description(KINDS[kind].does)
      .option("--server <server>", "which one: its name or the first label of it")
      .option("--dry-run", "say what it would mean and what speaks against it, change nothing")
      .option("--yes", "don't ask")
      .option("--json", "print JSON")
      .addHelpText("after", helpOf(kind))
      .action(async (flags: Flags) => hold(kind, flags, createOutput(flags.json === true)));
  }
  drill
    .command("list")
    .description("the drills that were held, newest first")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy drill list\n\nExit code: 0 listed, 1 the daemon doesn't answer.",
    )
    .action(async (flags: { json?: boolean }) => {
      const answer = await callDaemon("GET", "/v1/drills", { answer: DrillReports });
      createOutput(flags.json === true).result(answer, describeList(answer));
    });
  drill
    .command("show")
    .argument("<id>", "as drill list shows it")
    .description("the report of one drill")
    .option("--html <file>", "write it as a page with a chart, which needs nothing else")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy drill show 3f2a9c0d1e4b --html drill.html\n\nExit code: 0 shown, 1 there is none, or its server doesn't answer.",
    )
    .action(show);
  drill
    .command("stop")
    .description("stop the drill under way, and undo it")
    .addHelpText(
      "after",
      "\n  understudy drill stop\n\nExit code: 0 it stops, or none is under way; 1 its server can't be told.",
    )
    .action(async () => {
      // Whose driver can't be asked isn't seen to run, and then the stopping throws.
      const before = await look();
      await callDaemon("POST", "/v1/drill/stop", { answer: Done });
      createOutput(false).result({}, describeStop(before));
    });
}

const HELP = `
  understudy drill puppetserver-kill --dry-run
  understudy drill server-isolate --server s2 --yes
  understudy drill list

The server is chosen sensibly where --server doesn't say. It is refused where the cluster couldn't bear it. The way
back is set before anything is broken, as a timer of systemd's. Meanwhile a synthetic agent connects all the time and
asks for catalogs. Held by themselves: understudy config set drills "edge-kill=Tue 10:00". See /usr/share/doc/understudy/drills.md.

Exit code: 0 it went through, the cluster is as before; 1 refused, or failed and all is as before; 2 wrong usage; 3 it
was stopped, or something is worse than before.`;

function helpOf(kind: DrillKind): string {
  const { expected, back } = KINDS[kind];
  return `
Agents should notice: ${expected}.
It comes back: ${back}. Ctrl-C stops it and undoes it.

  understudy drill ${kind} --dry-run

Exit code: 0 it went through, the cluster is as before; 1 refused or failed; 3 stopped, or something is worse.`;
}

async function hold(kind: DrillKind, flags: Flags, output: Output): Promise<void> {
  const { server } = flags;
  const body: DrillAsk = {
    kind,
    ...(server === undefined ? {} : { server: check(MemberName, "--server", server) }),
  };
  const options = { body, withinMs: ASK_MS };
  const plan = await callDaemon("POST", "/v1/drill/plan", { ...options, answer: DrillPlanAnswer });
  if (flags.dryRun === true) {
    output.result(plan, renderPlan(plan));
    if (plan.refused.length > 0) process.exitCode = EXIT.failed;
    return;
  }
  if (plan.refused.length > 0) {
    const [first = "", ...more] = plan.refused;
    throw new Fault("drill.refused", first, { hints: more });
  }
  await confirm(plan.lines, plan.server, flags, output);
  // Now: a drill that is asked for begins, also when nobody waits for the answer any more.
  const asked = createAsked(output);
  // The server that was shown, whatever is the sensible one a moment later.
  const started = await callDaemon("POST", "/v1/drill", {
    body: { kind, server: plan.server },
    answer: DrillStarted,
    withinMs: ASK_MS,
  });
  await follow(started.id, output, asked);
  const { report } = await readReport(started.id);
  output.result(report, renderReport(report));
  process.exitCode = exitOf(report);
}

/** The plan as text for people. */
export function renderPlan({ lines, refused }: DrillPlanAnswer): string {
  return [
    ...lines,
    ...(refused.length === 0 ? [] : [...(lines.length === 0 ? [] : [""]), "Refused now:"]),
    ...refused.map((each) => ` - ${each}`),
  ].join("\n");
}

/** What stopping comes to, where it was so before. */
export function describeStop({ running }: Pick<DrillProgress, "running">): string {
  return running
    ? "It stops, and is undone: understudy drill list"
    : "No drill is under way: nothing to stop.";
}

/** The table, and whose reports are missing in it. */
export function describeList({ reports, missing }: DrillReports): string {
  const silent = `! Without those that ${missing.join(", ")} drove: no answer.`;
  return [renderList(reports), ...(missing.length === 0 ? [] : ["", silent])].join("\n");
}

/** What the command ends with. That something is left worse goes before why. */
export function exitOf({ outcome, left }: Pick<DrillReport, "outcome" | "left">): number {
  if (outcome === "stopped" || left.length > 0) return EXIT.unconfirmed;
  return outcome === "failed" ? EXIT.failed : EXIT.ok;
}

/**
 * Tells what it is at until it is over. Ctrl-C stops it; a second one, or a lost terminal, leaves
 * it.
 */
async function follow(id: string, output: Output, asked: Asked): Promise<void> {
  let said = 0;
  let heardMs = monotonicMs();
  let stopped = false;
  for (;;) {
    if (asked.times() > 1) throw left(id);
    if (asked.times() === 1 && !stopped) {
      stopped = await callDaemon("POST", "/v1/drill/stop", { answer: Done }).then(
        () => true,
        () => false,
      );
    }
    const now = await look().catch((error: unknown) => messageOf(error));
    if (typeof now !== "string") {
      heardMs = monotonicMs();
      if (now.id !== id) return;
      for (const line of now.lines.slice(said)) output.progress(` · ${oneLine(line, LINE_MAX)}`);
      said = now.lines.length;
      if (!now.running) return;
    }
    if (monotonicMs() - heardMs > AWAY_MS) throw left(id);
    await pause(LOOK_MS, asked.signal());
  }
}

async function look(): Promise<DrillProgress> {
  return callDaemon("GET", "/v1/drill", { answer: DrillProgress, withinMs: ASK_MS });
}

function left(id: string): Fault {
  return new Fault("drill.left", "the drill isn't watched any more; it goes on to its end", {
    hints: [
      `What became of it: understudy drill show ${id}`,
      "What it broke is brought back by a timer on that server, also where the daemon here died.",
    ],
  });
}

interface Asked {
  times(): number;
  /** Aborts at the next time. */
  signal(): AbortSignal;
}

function createAsked(output: Output): Asked {
  let times = 0;
  let nudge = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      // A terminal that is lost takes no drill with it.
      times += name === "SIGHUP" ? 2 : 1;
      if (times === 1)
        output.progress("   … it is stopped and undone; once more leaves it to itself");
      nudge.abort();
      nudge = new AbortController();
    });
  }
  return { times: () => times, signal: () => nudge.signal };
}

async function show(text: string, flags: { html?: string; json?: boolean }): Promise<void> {
  const { report } = await readReport(check(DrillId, "id", text));
  if (flags.html !== undefined) {
    await writeFile(flags.html, renderHtml(report)).catch((error: unknown) => {
      throw new Fault("drill.not-written", `${flags.html} can't be written: ${messageOf(error)}`);
    });
  }
  const wrote = flags.html === undefined ? "" : `Written: ${flags.html}\n\n`;
  createOutput(flags.json === true).result(report, `${wrote}${renderReport(report)}`);
}

async function readReport(id: string): Promise<DrillReportAnswer> {
  return callDaemon("GET", `/v1/drills/${id}`, { answer: DrillReportAnswer });
}
