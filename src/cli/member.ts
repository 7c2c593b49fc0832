// understudy member list|remove, leave, voters: who is in the cluster, and getting somebody out.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { stateOf } from "../cluster/member-rows.ts";
import { ClusterStatus } from "../cluster/status.ts";
import { wallMs } from "../host/clock.ts";
import { beAlone } from "../setup/alone.ts";
import { RemovalDone, RemovalPlan, RoomAnswer, VotersAnswer } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { leave } from "../setup/leave.ts";
import { tellPlanning } from "../setup/tell-planning.ts";
import { confirm } from "./confirm.ts";
import { copyLines } from "./copies.ts";
import { createOutput, EXIT } from "./output.ts";
import { requireRoot } from "./pass-preflight.ts";

/** A living voter is replaced first. */
const REMOVE_MS = 240_000;

/** Each voter rewrites its database, one after the other. */
const COMPACT_MS = 600_000;
const COMPACT_HELP = `
  understudy member compact

One voter after the other, the leader last, each busy for some seconds; agents notice nothing, a change waits. It is
refused while a voter doesn't answer. Former versions of keys go by themselves after an hour; this gives their space back too.

Exit code: 0 done, 1 refused or failed.`;

interface RemoveFlags {
  yes?: boolean;
  json?: boolean;
}

export function addMember(program: Command): void {
  const member = program.command("member").description("the servers of the cluster");
  member
    .command("list")
    .description("who is a member")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy member list\n\nExit code: 0 listed, 1 the daemon doesn't answer.",
    )
    .action(async (options: { json?: boolean }) => {
      const status = await callDaemon("GET", "/v1/status", { answer: ClusterStatus });
      const rows = status.members.map(({ member: each, local, because }) => [
        each.id,
        each.role,
        stateOf(status.work, each, wallMs()),
        each.address,
        local === undefined ? `no answer: ${because}` : local.etcd.runs,
        each.version,
      ]);
      const head = ["MEMBER", "ROLE", "STATE", "ADDRESS", "ETCD", "VERSION"];
      createOutput(options.json === true).result(status.members, renderTable(head, rows));
    });
  member
    .command("remove")
    .argument("<name>", "its name, or the first label of it")
    .description("take a dead server out of the cluster, and every right from its certificates")
    .option("--yes", "don't ask")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy member remove s3.example.com\n\nFor a server that is dead for good; one that runs leaves by itself: understudy leave, there." +
        "\n\nExit code: 0 removed, 1 refused, 3 removed, but a member could not be told yet.",
    )
    .action(async (name: string, flags: RemoveFlags) => {
      const output = createOutput(flags.json === true);
      const plan = await callDaemon("POST", "/v1/members/removal-plan", {
        body: { id: name },
        answer: RemovalPlan,
      });
      const { id } = plan;
      if (plan.refused !== "") throw new Fault("member.remove-refused", plan.refused);
      await confirm(plan.lines, id, flags, output);
      const options = { body: { id }, answer: RemovalDone, withinMs: REMOVE_MS };
      const removal = callDaemon("POST", "/v1/members/remove", options);
      const done = await tellPlanning(removal, (line) => output.progress(line));
      output.result(done, [...done.lines, ...copyLines(done.copies, "removal")].join("\n"));
      process.exitCode = done.unconfirmed.length > 0 ? EXIT.unconfirmed : EXIT.ok;
    });
  member
    .command("voters")
    .argument("<count>", "1, 3 or 5")
    .description("how many servers vote in etcd, as soon as there are enough")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy member voters 5\n\nExit code: 0 it is wanted now, also where there are too few servers yet; 1 refused or failed.",
    )
    .action(async (count: string, options: { json?: boolean }) => {
      const voters = Number(count);
      if (![1, 3, 5].includes(voters)) {
        throw new Fault("cli.option", `"${count}" voters can't be: an odd number, 1, 3 or 5`);
      }
      const answer = await callDaemon("POST", "/v1/voters", {
        body: { voters },
        answer: VotersAnswer,
      });
      const text = `${voters} voters are wanted now. ${answer.because}`.trimEnd();
      createOutput(options.json === true).result(answer, text);
    });
  member
    .command("compact")
    .description("have etcd's database give back what it no longer needs; clears the alarm NOSPACE")
    .option("--json", "print JSON")
    .addHelpText("after", COMPACT_HELP)
    .action(async (options: { json?: boolean }) => {
      const answer = await callDaemon("POST", "/v1/etcd/make-room", {
        answer: RoomAnswer,
        withinMs: COMPACT_MS,
      });
      const mib = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
      const rows = answer.voters.map((one) => [one.id, mib(one.beforeBytes), mib(one.afterBytes)]);
      createOutput(options.json === true).result(
        answer,
        renderTable(["VOTER", "BEFORE", "AFTER"], rows),
      );
    });
  program
    .command("leave")
    .description(
      "take this server out of its cluster; its Puppet Server is left stopped, its files put back",
    )
    .option("--yes", "don't ask")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy leave\n\nExit code: 0 left, 1 refused, 3 left, but a member could not be told yet.",
    )
    .action(async (flags: RemoveFlags) => {
      const output = createOutput(flags.json === true);
      requireRoot();
      await beAlone();
      const { lines, removal } = await leave({
        confirm: (plan, id) => confirm(plan, id, flags, output),
        progress: (line) => output.progress(line),
      });
      const { unconfirmed = [], copies = 2 } = removal ?? {};
      const text = [...lines, ...copyLines(copies, "removal")].join("\n");
      output.result({ left: true, unconfirmed, copies: removal?.copies }, text);
      process.exitCode = unconfirmed.length > 0 ? EXIT.unconfirmed : EXIT.ok;
    });
}
