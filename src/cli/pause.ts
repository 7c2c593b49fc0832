// understudy pause, resume: what Understudy does by itself is left for a while, and is said to be.

import type { Command } from "commander";
import { renderLocalTime } from "../base/local-time.ts";
import { wallMs } from "../host/clock.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { PauseAnswer, PauseWish } from "../setup/work-contract.ts";
import { endOf } from "./drain.ts";
import { check } from "./options.ts";
import { createOutput } from "./output.ts";

interface Flags {
  reason: string;
  scope: string[];
  for?: string;
  until?: string;
  json?: boolean;
}

const SCOPES = "addresses, chores, or a server's name; several times for several";

export function addPause(program: Command): void {
  program
    .command("pause")
    .description("have Understudy leave something alone for a while")
    .requiredOption("--reason <text>", "why, for those who read status")
    .option("--scope <what>", SCOPES, collect, [])
    .option("--for <duration>", "until it ends by itself, as in 30m; 2h if nothing is said")
    .option("--until <time>", "when it ends by itself, as in 15:00; a week from now at most")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(pause);
  program
    .command("resume")
    .description("end what was paused: all of it, or one scope")
    .option("--scope <what>", SCOPES, collect, [])
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy resume --scope addresses\n\nExit code: 0 it isn't paused, 1 refused or failed.",
    )
    .action(resume);
}

const HELP = `
Example: understudy pause --reason "switch maintenance" --scope addresses --for 1h

 addresses  the daemons change nothing of keepalived: neither a drain nor a server that leaves moves an address.
            keepalived itself goes on: a dead server's addresses are taken as ever.
 chores     etcd's voters stay as they are, no certificate of servers or of the cluster is renewed, no
            puppetserver is reloaded for one. Signing, revoking and the CRL go on.
 SERVER     nothing of Understudy's changes that server's configuration: edge, keepalived, etcd, courier,
            certificates. Revocations go on there, and so does everything that runs.

Without --scope: addresses and chores. It ends by itself; said again it is made longer, and status asks after a day
whether it was forgotten.

Exit code: 0 paused, 1 refused or failed.`;

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

async function pause(flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  const nowMs = wallMs();
  const scopes = flags.scope.length === 0 ? ["addresses", "chores"] : flags.scope;
  const given = flags.for === undefined && flags.until === undefined ? { for: "2h" } : flags;
  const until = endOf(given, nowMs) ?? "";
  const reason = check(PauseWish.shape.reason, "--reason", flags.reason);
  const body = { scopes, reason, until };
  const said = await callDaemon("POST", "/v1/pauses", { body, answer: PauseAnswer });
  const end = renderLocalTime(Date.parse(until), nowMs);
  const undo = "Undo: understudy resume";
  output.result(said, `${scopes.join(" and ")}: paused until ${end}. ${undo}`);
}

async function resume(flags: Pick<Flags, "scope" | "json">): Promise<void> {
  const output = createOutput(flags.json === true);
  const body = { scopes: flags.scope };
  const said = await callDaemon("POST", "/v1/pauses/end", { body, answer: PauseAnswer });
  const names = said.pauses.map(({ scope, id }) => id ?? scope);
  output.result(said, names.length === 0 ? "Nothing was paused." : `${names.join(", ")}: resumed.`);
}
