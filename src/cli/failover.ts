// understudy failover: an address is taken from a holder that can't be asked to let it go.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { IpAddress } from "../cluster/schema.ts";
import { type FailoverAsk, FailoverDone, FailoverPlan } from "../setup/address-contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { confirm } from "./confirm.ts";
import { check } from "./options.ts";
import { createOutput, EXIT, type Output } from "./output.ts";
import { renderHolders } from "./switchover.ts";

const RUN_MS = 60_000;

interface Flags {
  to?: string;
  dryRun?: boolean;
  yes?: boolean;
  json?: boolean;
}

export function addFailover(program: Command): void {
  program
    .command("failover")
    .argument("<address>", "the virtual IP")
    .description(
      "take a virtual IP from a server that can't be asked to let it go; connections break",
    )
    .option("--to <server>", "who takes it: its name or the first part of it; else a fit server")
    .option("--dry-run", "print what would be done and what breaks, change nothing")
    .option("--yes", "don't ask")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (address: string, flags: Flags) => {
      await failover(address, flags, createOutput(flags.json === true));
    });
}

const HELP = `
  understudy failover 10.0.0.10 --dry-run

For when things are broken. A server that dies, or whose edge does, loses its addresses without this, in half a
second. It is for one that keeps an address although its daemon can't be asked. While that answers, use understudy
switchover, which breaks nothing. It needs no etcd.

Exit code: 0 taken; 1 refused or failed; 2 wrong usage.`;

async function failover(address: string, flags: Flags, output: Output): Promise<void> {
  const body: FailoverAsk = {
    address: check(IpAddress, "address", address),
    ...(flags.to === undefined ? {} : { to: flags.to }),
  };
  const plan = await callDaemon("POST", "/v1/failover/plan", { body, answer: FailoverPlan });
  if (flags.dryRun === true) {
    const refused = plan.refused === "" ? [] : [`Refused now: ${plan.refused}.`];
    output.result(plan, [...plan.lines, ...refused].join("\n"));
    if (plan.refused !== "") process.exitCode = EXIT.failed;
    return;
  }
  if (plan.refused !== "") throw new Fault("failover.refused", plan.refused);
  await confirm(plan.lines, plan.to, flags, output);
  const options = { body: { ...body, to: plan.to }, answer: FailoverDone, withinMs: RUN_MS };
  const done = await callDaemon("POST", "/v1/failover", options);
  const taken = `${done.to} holds ${done.address}, after ${Math.round(done.tookMs)} ms.`;
  output.result(done, [taken, "", renderHolders(done.holders)].join("\n"));
}
