// understudy restart puppetserver: one server after another, which no agent notices.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { renderRollPlan } from "../setup/roll-plan.ts";
import { MemberName, Reason, RollPlan, RollStarted } from "../setup/work-contract.ts";
import { check } from "./options.ts";
import { createOutput, EXIT } from "./output.ts";
import { showRoll } from "./watch-roll.ts";

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
  await showRoll(started, output);
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
