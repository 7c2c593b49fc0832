// understudy upgrade: packages, on one server after another, which no agent notices.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { requireUpgraded } from "../setup/roll-plan.ts";
import { renderUpgradePlan, requireAllowed } from "../setup/upgrade-plan.ts";
import { MemberName, Reason, RollStarted, UpgradePlan } from "../setup/work-contract.ts";
import { type Part, PARTS } from "../upgrade/parts.ts";
import { confirm } from "./confirm.ts";
import { check } from "./options.ts";
import { createOutput, EXIT } from "./output.ts";
import { lookForRoll, showRoll } from "./watch-roll.ts";

/** Every server reads its archives' lists anew. */
const PLAN_MS = 200_000;

interface Flags {
  server: string[];
  reason?: string;
  force?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
}

export function addUpgrade(program: Command): void {
  program
    .command("upgrade")
    .argument("[part...]", `of ${PARTS.join(", ")}; none: all of them`)
    .description("upgrade packages, on one server after another")
    .option(
      "--server <name>",
      "this server alone: its name, or the first label of it; may be given several times",
      (name: string, before: string[]) => [...before, name],
      [],
    )
    .option("--reason <text>", "why, for those who read status")
    .option("--force", "also when no other puppetserver gets requests, or lists can't be read anew")
    .option("--dry-run", "say what it would mean, upgrade nothing")
    .option("--yes", "don't ask")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(upgrade);
}

const HELP = `
Examples: understudy upgrade --dry-run
          understudy upgrade puppetserver haproxy --reason "security updates"
          understudy upgrade understudy --server s2 --yes

Each server in turn: edges give it nothing new, its last request is waited for (10 minutes at most), virtual IPs go to
another server where HAProxy or keepalived are upgraded, apt-get upgrades the packages to the versions that the plan
showed, what runs them restarts, and all that was well there must be well again; then the next one. The server whose
etcd leads is last. It halts at the first that doesn't come back. An administrator's edits of configuration stay;
packages that are held stay. The cluster's leader drives it: it goes on without this command and without this server,
and the same command shows it again. Ctrl-C has it end when the server under way is back.

The plan has every server read its archives' lists anew, and changes nothing else.

Exit code: 0 all are upgraded, or nothing is to be; 1 refused, halted or failed; 3 it was stopped, or goes on without
this command.`;

async function upgrade(words: string[], flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  const meant = {
    parts: words.map(partOf),
    names: flags.server.map((name) => check(MemberName, "--server", name)),
  };
  const reason = check(Reason, "--reason", flags.reason ?? "");
  const underWay = await lookForRoll();
  if (flags.dryRun !== true && underWay?.does === "upgrade" && underWay.end === undefined) {
    requireUpgraded(underWay, meant);
    await showRoll({ roll: underWay, already: true }, output);
    return;
  }
  output.progress("   … every server reads its archives' lists");
  const options = { body: meant, answer: UpgradePlan, withinMs: PLAN_MS };
  const plan = await callDaemon("POST", "/v1/upgrade/plan", options);
  const force = flags.force === true;
  if (flags.dryRun === true || plan.steps.length === 0) {
    output.result(plan, renderUpgradePlan(plan));
    if (plan.refused !== "" && !force) process.exitCode = EXIT.failed;
    return;
  }
  // What is refused isn't tried: judged anew it might be done, and nobody has been asked.
  requireAllowed(plan, force);
  const body = { ...meant, reason, force, shown: plan.steps };
  await confirm(renderUpgradePlan(plan).split("\n"), "upgrade", flags, output);
  const started = await callDaemon("POST", "/v1/upgrade", {
    body,
    answer: RollStarted,
    withinMs: PLAN_MS,
  });
  await showRoll(started, output);
}

/** Throws Fault `cli.option` for what is no part. */
export function partOf(word: string): Part {
  const part = PARTS.find((each) => each === word);
  if (part !== undefined) return part;
  throw new Fault("cli.option", `"${word}" is nothing that is upgraded by this`, {
    hints: [`There are: ${PARTS.join(", ")}`],
  });
}
