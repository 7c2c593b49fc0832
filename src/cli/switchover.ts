// understudy switchover: a virtual IP moves to another server, on purpose, and no connection
// breaks.

import type { Command } from "commander";
import { z } from "zod";
import { parseDuration, renderDuration } from "../base/duration.ts";
import { Fault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { renderTable } from "../base/table.ts";
import { IpAddress } from "../cluster/schema.ts";
import {
  SwitchoverAsk,
  SwitchoverDone,
  SwitchoverPlan,
  SwitchoverProgress,
} from "../setup/address-contract.ts";
import { Done } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { onInterruption } from "../setup/steps.ts";
import { confirm } from "./confirm.ts";
import { check } from "./options.ts";
import { createOutput, EXIT, type Output } from "./output.ts";

/** Longer than the daemon's own deadlines together. */
const RUN_MS = 180_000;
const LOOK_MS = 200;

const Limit = z.coerce.number().pipe(SwitchoverAsk.shape.limitS.unwrap());

const REFUSED = ["Nothing was changed. See: understudy switchover --dry-run, understudy status"];

interface Flags {
  to?: string;
  limit: string;
  dryRun?: boolean;
  force?: boolean;
  yes?: boolean;
  json?: boolean;
}

export function addSwitchover(program: Command): void {
  program
    .command("switchover")
    .argument("[address]", "the virtual IP; needed when several servers hold some")
    .description("move a virtual IP to another server; no TCP connection breaks")
    .option("--to <server>", "where to: its name or the first part of it; else the fittest server")
    .option("--limit <duration>", "how long connections to the former server may go on", "15m")
    .option("--dry-run", "print what would be done and what speaks against it, change nothing")
    .option("--force", "also when connections break; asks first")
    .option("--yes", "don't ask")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (address: string | undefined, flags: Flags) => {
      await switchover(address, flags, createOutput(flags.json === true));
    });
}

const HELP = `
  understudy switchover --dry-run
  understudy switchover 10.0.0.10 --to s2

All virtual IPs of the server that holds it move together. Connections that are open go on to the former server,
through the new one, until they end or the limit is reached; new ones go to the new one at once. Both servers put
everything back by themselves then; see /usr/share/doc/understudy/switchover.md. Ctrl-C before the address has moved undoes all.

Exit code: 0 moved, or it was there already; 1 refused, stopped or failed; 2 wrong usage.`;

async function switchover(
  address: string | undefined,
  flags: Flags,
  output: Output,
): Promise<void> {
  const body: SwitchoverAsk = {
    ...(address === undefined ? {} : { address: check(IpAddress, "address", address) }),
    ...(flags.to === undefined ? {} : { to: flags.to }),
    force: flags.force === true,
    limitS: check(Limit, "--limit", String(parseDuration(flags.limit))),
  };
  const plan = await callDaemon("POST", "/v1/switchover/plan", { body, answer: SwitchoverPlan });
  if (flags.dryRun === true) {
    output.result(plan, renderPlan(plan));
    if (plan.refused !== "") process.exitCode = EXIT.failed;
    return;
  }
  // What is refused isn't tried: judged anew it might be done, and nobody has been asked.
  if (plan.refused !== "") throw new Fault("switchover.refused", plan.refused, { hints: REFUSED });
  if (flags.force === true && !plan.already) {
    await confirm(plan.lines, plan.to, flags, output);
  } else output.progress(plan.lines.join("\n"));
  const done = await run(asShown(body, plan), output);
  output.result(done, renderDone(done));
}

/** What the plan shows, and nothing that has become fitter since. */
export function asShown(
  body: SwitchoverAsk,
  { to, moves }: Pick<SwitchoverPlan, "to" | "moves">,
): SwitchoverAsk {
  const address = body.address ?? moves[0]?.address;
  return { ...body, to, ...(address === undefined ? {} : { address }) };
}

/** Runs it, tells what it is at, and stops it at Ctrl-C while nothing has moved. */
async function run(body: SwitchoverAsk, output: Output): Promise<SwitchoverDone> {
  const interrupted = onInterruption((line) => output.progress(line));
  const over = new AbortController();
  let said = 0;
  let asked: number | undefined;
  const tell = async () => {
    const { lines } = await callDaemon("GET", "/v1/switchover", { answer: SwitchoverProgress });
    for (const line of lines.slice(said)) output.progress(` ✓ ${line}`);
    said = Math.max(said, lines.length);
  };
  const stop = async () => {
    await callDaemon("POST", "/v1/switchover/stop", { answer: Done });
    asked = said;
  };
  const watch = async () => {
    while (!over.signal.aborted) {
      if (interrupted.aborted && asksToStop(asked, said)) await stop().catch(() => undefined);
      await tell().catch(() => undefined);
      await pause(LOOK_MS, over.signal);
    }
  };
  const watching = watch();
  try {
    const options = { body, answer: SwitchoverDone, withinMs: RUN_MS };
    return await callDaemon("POST", "/v1/switchover", options);
  } finally {
    over.abort();
    await watching;
  }
}

/**
 * Whether it is to be stopped now; `asked`: how many lines it had said when it was last asked to.
 * Before its first it may not have begun. Each time is a deed that the history keeps.
 */
export function asksToStop(asked: number | undefined, said: number): boolean {
  return asked === undefined || (asked === 0 && said > 0);
}

/** The plan as text for people. */
export function renderPlan(plan: SwitchoverPlan): string {
  const parts = [renderHolders(plan.before, plan.already ? undefined : plan.after)];
  if (plan.lines.length > 0) parts.push("", ...plan.lines);
  if (plan.refused !== "") parts.push("", `Refused now: ${plan.refused}.`);
  return parts.join("\n");
}

/** What is so afterwards, as text for people. */
export function renderDone(done: SwitchoverDone): string {
  if (done.already) return `${done.to} holds it already: nothing to do.`;
  const moved = `${done.addresses.join(" and ")}: from ${done.from} to ${done.to}, in ${Math.round(done.tookMs)} ms.`;
  const kept =
    done.connections === 0
      ? `${done.from} had no connection left.`
      : `${done.from} still serves ${done.connections} connections, for ${renderDuration(done.limitS)} at most.`;
  return [moved, kept, "", renderHolders(done.holders)].join("\n");
}

/** A table of servers: who holds what, and afterwards. */
export function renderHolders(
  before: SwitchoverPlan["before"],
  after?: SwitchoverPlan["after"],
): string {
  const text = (list: SwitchoverPlan["before"], id: string) =>
    list.find((each) => each.id === id)?.addresses.join(" ") || "-";
  if (after === undefined) {
    return renderTable(
      ["SERVER", "HOLDS"],
      before.map(({ id }) => [id, text(before, id)]),
    );
  }
  return renderTable(
    ["SERVER", "HOLDS", "AFTERWARDS"],
    before.map(({ id }) => [id, text(before, id), text(after, id)]),
  );
}
