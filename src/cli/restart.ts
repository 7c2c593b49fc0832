// understudy restart puppetserver: one server after another, which no agent notices.

import type { Command } from "commander";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import type { Roll } from "../cluster/work.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { describeEnd, renderRollPlan, tellRoll } from "../setup/roll-plan.ts";
import { MemberName, Reason, RollAnswer, RollPlan, RollStarted } from "../setup/work-contract.ts";
import { check } from "./options.ts";
import { createOutput, EXIT, type Output } from "./output.ts";

const LOOK_MS = 1000;
const ASK_MS = 15_000;
/** This server's daemon, or etcd, may be away for a while: the roll goes on all the same. */
const AWAY_MS = 60_000;

interface Flags {
  rolling?: boolean;
  rest?: boolean;
  reason?: string;
  force?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function addRestart(program: Command): void {
  const restart = program
    .command("restart")
    .description("restart what agents are served by, one server after another");
  restart
    .command("puppetserver")
    .argument("[server]", "one server alone: its name, or the first label of it")
    .description("restart puppetserver: each server's when nothing runs there any more")
    .option("--rolling", "every server's, one after another")
    .option("--rest", "only those that the last one left when it halted or was stopped")
    .option("--reason <text>", "why, for those who read status")
    .option("--force", "also when no other puppetserver gets requests: they wait at the edges")
    .option("--dry-run", "say what it would mean, change nothing")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(restartPuppetserver);
}

const HELP = `
Example: understudy restart puppetserver --rolling --reason "new gems"

Edges give a server nothing new, its last request is waited for (10 minutes at most), puppetserver restarts, answers,
is warmed up and gets requests again; then the next one. It halts at the first that doesn't come back. The cluster's
leader drives it: it goes on without this command and without this server, and the same command shows it again.
Ctrl-C has it end when the server under way is back; a second one leaves it to itself.

Exit code: 0 all are restarted; 1 refused, halted or failed; 3 it was stopped, or goes on without this command.`;

async function restartPuppetserver(name: string | undefined, flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  const meant = meantBy(name, flags);
  if (flags.dryRun === true) {
    const plan = await callDaemon("POST", "/v1/roll/plan", { body: meant, answer: RollPlan });
    output.result(plan, renderRollPlan(plan));
    if (plan.refused !== "" && flags.force !== true) process.exitCode = EXIT.failed;
    return;
  }
  const reason = check(Reason, "--reason", flags.reason ?? "");
  const body = { ...meant, reason, force: flags.force === true };
  const started = await callDaemon("POST", "/v1/roll", { body, answer: RollStarted });
  if (started.already) {
    const { by: whose, ids } = started.roll;
    output.progress(`One is under way already, for ${whose}: ${ids.join(", ")}. This is that one.`);
  }
  const { roll, left } = await watch(started.roll, output);
  const lines = left === "" ? describeEnd(roll) : [left];
  if (roll.end?.how === "halted" && left === "") {
    throw new Fault("roll.halted", lines[0] ?? "it halted", { hints: lines.slice(1) });
  }
  output.result({ ...roll, left: left !== "" }, lines.join("\n"));
  process.exitCode = roll.end?.how === "done" ? EXIT.ok : EXIT.unconfirmed;
}

/** Throws Fault `cli.option` unless exactly one way to say which servers was taken. */
export function meantBy(name: string | undefined, { rolling, rest }: Flags) {
  const ways = [name !== undefined, rolling === true, rest === true].filter(Boolean).length;
  if (ways !== 1) {
    throw new Fault("cli.option", "say which: one server's name, --rolling for all, or --rest", {
      hints: ["As in: understudy restart puppetserver --rolling"],
    });
  }
  const names = name === undefined ? [] : [check(MemberName, "server", name)];
  return { names, rest: rest === true };
}

/** Follows the roll to its end. `left`: what is said when it goes on without this command. */
async function watch(first: Roll, output: Output): Promise<{ roll: Roll; left: string }> {
  const asked = createAsked();
  let roll = first;
  let before: Roll | undefined;
  let stopping = false;
  let alone = false;
  let heardMs = monotonicMs();
  for (;;) {
    for (const line of tellRoll(before, roll)) output.progress(line);
    before = roll;
    if (!alone && roll.end === undefined && Date.parse(roll.until) < wallMs() - AWAY_MS) {
      output.progress("! nobody drives it now. Is there a leader? understudy status");
      alone = true;
    }
    if (roll.end !== undefined) return { roll, left: "" };
    if (asked.toLeave()) return { roll, left: `It goes on without this command: ${SEE}` };
    if (asked.toStop() && !stopping) stopping = await stop(output);
    await pause(LOOK_MS, asked.signal());
    const found = await look();
    if (found !== undefined) heardMs = monotonicMs();
    // Another one began since: this one is over, and what became of it is forgotten.
    if (found !== undefined && found.key !== roll.key) return { roll, left: `It is over: ${SEE}` };
    roll = found ?? roll;
    if (monotonicMs() - heardMs > AWAY_MS) {
      return { roll, left: `This server's daemon can't tell how it goes on: ${SEE}` };
    }
  }
}

/** Has it end after the server under way. False where that can't be said now. */
async function stop(output: Output): Promise<boolean> {
  try {
    await callDaemon("DELETE", "/v1/roll", { answer: RollAnswer });
    output.progress("   … it ends when the server under way is back; once more leaves it alone");
    return true;
  } catch (error) {
    output.progress(`   … it can't be stopped now, tried again: ${messageOf(error)}`);
    return false;
  }
}

const SEE = "understudy status shows it, on any server";

/** The newest roll; undefined while it can't be read. */
async function look(): Promise<Roll | undefined> {
  return callDaemon("GET", "/v1/roll", { answer: RollAnswer, withinMs: ASK_MS }).then(
    ({ roll }) => roll,
    (error: unknown) => {
      if (isFault(error, "cluster.not-a-member") || isFault(error, "member.removed")) throw error;
      return undefined;
    },
  );
}

/** The first Ctrl-C stops, the second leaves; a lost terminal leaves at once. */
function createAsked() {
  let times = 0;
  let gone = false;
  let nudge = new AbortController();
  const hear = (name: "SIGINT" | "SIGTERM" | "SIGHUP") => {
    process.on(name, () => {
      if (name === "SIGHUP") gone = true;
      times += 1;
      nudge.abort();
      nudge = new AbortController();
    });
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) hear(name);
  return {
    toStop: () => times > 0 && !gone,
    toLeave: () => gone || times > 1,
    signal: () => nudge.signal,
  };
}
