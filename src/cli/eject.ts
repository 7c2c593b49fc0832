// understudy eject: the CA goes back to stock Puppet Server, on this server.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { readPuppetLayout } from "../host/puppet-layout.ts";
import { beAlone } from "../setup/alone.ts";
import { EjectPlan } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { type EjectOutcome, ejectSteps, isEjected, requireFit } from "../setup/eject.ts";
import { readSetupHost } from "../setup/setup-host.ts";
import { onInterruption, runSteps } from "../setup/steps.ts";
import { confirm } from "./confirm.ts";
import { createOutput, EXIT, type Output } from "./output.ts";
import { requireRoot } from "./pass-preflight.ts";

interface EjectFlags {
  alone?: boolean;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
}

export function addEject(program: Command): void {
  program
    .command("eject")
    .description("give the CA of the whole cluster back to stock Puppet Server, on this server")
    .option(
      "--alone",
      "without the other servers, or without the one that has the CA: lost for good",
    )
    .option("--dry-run", "check everything, print what would be done, change nothing")
    .option("--yes", "don't ask")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (flags: EjectFlags) => eject(flags, createOutput(flags.json === true)));
}

const HELP = `
  understudy eject --dry-run

Run it on the server that is to have the CA. One transaction ends signing and revoking on every server; then the
CA directory here gets all that was ever issued, puppetserver restarts with its own CA service, and the other
servers pass what agents ask of a CA on to it. Catalogs, files, addresses go on as before; what stock's CA revokes
is refused by every edge within seconds. Interrupted at any point, it is finished by the same command.

There is no way back but a new init: /usr/share/doc/understudy/eject.md

Exit code: 0 done, or it was done before; 1 refused or failed; 3 done, but a server doesn't send agents there yet.`;

async function eject(flags: EjectFlags, output: Output): Promise<void> {
  requireRoot();
  if (flags.dryRun !== true) await beAlone();
  const alone = flags.alone === true;
  const node = await requireNodeFile();
  const plan = await callDaemon("POST", "/v1/eject/plan", { body: { alone }, answer: EjectPlan });
  const host = await readSetupHost(await readPuppetLayout());
  if (plan.state === "handed-over" && (await isEjected(node, host))) {
    const done = { to: node.id, already: true, unconfirmed: [] };
    output.result(done, `The CA is stock Puppet Server's on this server already: nothing to do.`);
    return;
  }
  if (flags.dryRun === true) {
    await requireFit(node, host);
    const begun =
      plan.state === "handed-over"
        ? ["The CA directory is stock's already: its CA is started."]
        : [];
    const refused = plan.refused === "" ? [] : [`Refused now: ${plan.refused}`];
    output.result(plan, [...begun, ...plan.lines, ...refused].join("\n"));
    if (plan.refused !== "") process.exitCode = EXIT.failed;
    return;
  }
  if (plan.refused !== "") throw refusedFault(plan);
  await requireFit(node, host);
  // What was begun leaves nobody signing: it goes on without a question.
  if (plan.state === "ours") await confirm(plan.lines, node.id, flags, output);
  const outcome: EjectOutcome = { unconfirmed: [] };
  const say = (line: string) => output.progress(line);
  await runSteps(ejectSteps(node, host, alone, outcome), say, onInterruption(say));
  const { ended, handedOver, unconfirmed } = outcome;
  const result = { to: node.id, already: false, ...ended, ...handedOver, unconfirmed };
  output.result(result, describe(node, outcome).join("\n"));
  process.exitCode = unconfirmed.length > 0 ? EXIT.unconfirmed : EXIT.ok;
}

function refusedFault({ refused }: EjectPlan): Fault {
  return new Fault("eject.refused", refused, {
    hints: ["Nothing was changed. See: understudy status"],
  });
}

function describe(node: NodeFile, { unconfirmed, handedOver }: EjectOutcome): string[] {
  const lines = [
    "",
    `The CA of ${node.sharedName} is stock Puppet Server's on ${node.id}. From now on: puppetserver ca list|sign|revoke|clean`,
  ];
  for (const id of unconfirmed) {
    lines.push(
      `! ${id} doesn't send agents to it yet: it does as soon as it can. See: understudy status`,
    );
  }
  if (handedOver?.alone === true) {
    lines.push(
      "! Decided alone: no other server of the cluster may sign any more. One that is lost stays off; one that comes",
      "  back hears of it once etcd has its quorum: look there with understudy status before agents reach it.",
    );
  }
  return lines;
}
