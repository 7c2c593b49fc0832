// understudy puppetdb enable|disable|accept|use|dead|status: this server's courier, and its
// PuppetDB if it has one. sync and diff: puppetdb-sync.ts.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { renderDuration } from "../base/duration.ts";
import { renderTable } from "../base/table.ts";
import { sumPuppetdbs } from "../cluster/courier-status.ts";
import { findMember } from "../cluster/find-member.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { renderSync } from "../cluster/sync-status.ts";
import { wallMs } from "../host/clock.ts";
import { findPuppet, readPuppetLayout } from "../host/puppet-layout.ts";
import { beAlone } from "../setup/alone.ts";
import { Done, type PuppetdbMark } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { describeEnable, disableSteps, enableSteps, planEnable } from "../setup/puppetdb.ts";
import { comparePuppetdb } from "../setup/puppetdb-compare.ts";
import { onInterruption, runSteps } from "../setup/steps.ts";
import { createOutput } from "./output.ts";
import { addPuppetdbDead } from "./puppetdb-dead.ts";
import { requireRoot } from "./pass-preflight.ts";
import { addPuppetdbSync } from "./puppetdb-sync.ts";
import { readStatus } from "./read-status.ts";

interface Flags {
  dryRun?: boolean;
  json?: boolean;
  force?: boolean;
  /** Commander's name for --without-puppetdb. */
  withoutPuppetdb?: boolean;
  /** Of --shared-database. */
  sharedDatabase?: boolean;
}

export function addPuppetdb(program: Command): void {
  const puppetdb = program
    .command("puppetdb")
    .description("PuppetDB behind couriers: commands reach every one, queries go to a fit one");
  puppetdb
    .command("enable")
    .description(
      "run a courier here, bring commands to this server's PuppetDB, have puppetserver use it",
    )
    .option("--without-puppetdb", "leave a PuppetDB that is installed here out")
    .option("--shared-database", "its database is the one that every other PuppetDB has too")
    .option("--dry-run", "check everything, print what would be done, change nothing")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(enable);
  puppetdb
    .command("disable")
    .description("put puppetserver's and PuppetDB's files back, and stop the courier")
    .option("--dry-run", "print what would be done, change nothing")
    .option("--force", "also with commands that aren't in every PuppetDB yet")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy puppetdb disable --dry-run\n\nExit code: 0 done, 1 refused or failed: the same command goes on.",
    )
    .action(disable);
  puppetdb
    .command("accept")
    .description("let this server's PuppetDB answer queries with what it has, also if that is less")
    .option("--force", "without comparing it")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy puppetdb accept\n\nRefused while it lacks a node's catalog that another one has: agents purge what isn't listed.\n\nExit code: 0 it may answer, 1 refused or failed.",
    )
    .action(accept);
  puppetdb
    .command("use")
    .argument("<name>", "the server whose PuppetDB is to answer, or the first label of its name")
    .description("send the queries of every courier to this PuppetDB, as soon as it is fit")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy puppetdb use s1.example.com\n\nExit code: 0 said, also while it isn't fit yet; 1 refused or failed.",
    )
    .action(use);
  addPuppetdbDead(puppetdb);
  puppetdb
    .command("status")
    .description("every PuppetDB and every courier")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy puppetdb status\n\nExit code: 0 answered, 1 this server's daemon can't be asked.",
    )
    .action(async (flags: Flags) => {
      const status = await readStatus();
      const value = {
        puppetdbs: sumPuppetdbs(status.members),
        couriers: status.members.flatMap(({ member, local }) =>
          member.courier === true ? [{ id: member.id, ...local?.courier }] : [],
        ),
      };
      createOutput(flags.json === true).result(value, renderPuppetdbStatus(status, wallMs()));
    });
  addPuppetdbSync(puppetdb);
}

async function enable(flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  requireRoot();
  if (flags.dryRun !== true) await beAlone();
  const node = await requireNodeFile();
  const layout = await readPuppetLayout();
  if (flags.withoutPuppetdb === true && flags.sharedDatabase === true) {
    throw new Fault("cli.option", "--shared-database is said of a PuppetDB: none is to be used");
  }
  const plan = await planEnable(node, layout, {
    without: flags.withoutPuppetdb === true,
    shared: flags.sharedDatabase,
  });
  if (flags.dryRun === true) {
    // Without the texts: database.ini has a password.
    const lines = describeEnable(plan);
    const { puppetdb, clients, urls } = plan;
    output.result({ puppetdb, clients, urls, plan: lines }, lines.join("\n"));
    return;
  }
  const say = (line: string) => output.progress(line);
  let mark: PuppetdbMark = {};
  const steps = enableSteps({ layout, node }, plan, (said) => {
    mark = said;
  });
  await runSteps(steps, say, onInterruption(say));
  const { puppetdb } = mark;
  const lines = [`${node.id} uses PuppetDB through its courier.`];
  if (puppetdb === "fills") {
    lines.push(
      "Its own PuppetDB takes every command from now on, and answers no queries yet: it is brought",
      "what the others have, and answers when it has that: understudy puppetdb status",
    );
  }
  output.result({ id: node.id, puppetdb: puppetdb ?? null, urls: plan.urls }, lines.join("\n"));
}

async function disable(flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  requireRoot();
  if (flags.dryRun !== true) await beAlone();
  const node = await requireNodeFile();
  const steps = disableSteps({ layout: await findPuppet(), node }, flags.force === true);
  if (flags.dryRun === true) {
    const titles = steps.map(({ title }) => title);
    const lines = titles.map((title, index) => `${String(index + 1).padStart(3)}. ${title}`);
    output.result({ steps: titles }, ["Until this is so:", ...lines].join("\n"));
    return;
  }
  const say = (line: string) => output.progress(line);
  const status = await readStatus();
  if (status.members.some(({ member }) => member.id !== node.id && member.courier === true)) {
    say(
      " ! Other servers go on with PuppetDB. Agents that this one compiles for may collect nothing.",
    );
  }
  await runSteps(steps, say, onInterruption(say));
  output.result({ id: node.id }, `${node.id} has no courier any more.`);
}

async function accept(flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  requireRoot();
  const node = await requireNodeFile();
  if (flags.force !== true) {
    const { lacks, because } = await comparePuppetdb(node.id, await readPuppetLayout());
    if (because !== "") {
      throw new Fault("puppetdb.not-accepted", `nothing to compare it with: ${because}`, {
        hints: ["To let it answer all the same: understudy puppetdb accept --force"],
      });
    }
    if (lacks.length > 0) {
      const shown = lacks.slice(0, 10).join(", ");
      throw new Fault("puppetdb.not-accepted", `it lacks ${lacks.length} nodes' catalogs`, {
        hints: [
          lacks.length > 10 ? `${shown}, …` : shown,
          "Agents purge what a PuppetDB that lacks them doesn't list. Wait for their runs.",
          "Those that never run again: puppet node deactivate NAME. To ignore them: --force",
        ],
      });
    }
  }
  await callDaemon("POST", "/v1/puppetdb/accept", { body: {}, answer: Done });
  output.result({ id: node.id }, `${node.id}'s PuppetDB may answer queries, with what it has.`);
}

async function use(name: string, flags: Flags): Promise<void> {
  const ids = (await readStatus()).members.map(({ member }) => member.id);
  const body = { id: findMember(ids, name) };
  await callDaemon("POST", "/v1/puppetdb/use", { body, answer: Done });
  const seen = sumPuppetdbs((await readStatus()).members).find(({ id }) => id === body.id);
  const fit = seen?.fit === true;
  const because = fit ? "" : (seen?.because ?? "no courier has looked at it");
  const text = fit
    ? `Queries go to ${body.id}'s PuppetDB from now on.`
    : `Queries go to ${body.id}'s PuppetDB as soon as it is fit: ${because}.`;
  createOutput(flags.json === true).result({ ...body, fit, because }, text);
}

/** Both tables as text for people. */
export function renderPuppetdbStatus({ members }: ClusterStatus, nowMs: number): string {
  const syncs = new Map(members.map(({ member, local }) => [member.id, local?.courier?.sync]));
  const syncOf = (id: string) => {
    const sync = syncs.get(id);
    return sync === undefined ? "-" : renderSync(sync, nowMs);
  };
  const puppetdbs = sumPuppetdbs(members).map((each) => [
    each.id,
    each.fit ? "fit" : `not fit: ${each.because}`,
    each.usedBy.join(" ") || "-",
    String(each.commands),
    each.commands === 0 ? "-" : renderDuration(Math.round(each.oldestMs / 1000)),
    String(each.deadLetters),
    syncOf(each.id),
  ]);
  const couriers = members
    .filter(({ member }) => member.courier === true)
    .map(({ member, local }) => {
      const { courier } = local ?? {};
      if (courier === undefined) return [member.id, "?", "-", "-", "-", "-"];
      if (!courier.runs) return [member.id, `no: ${courier.because}`, "-", "-", "-", "-"];
      const others = courier.couriers.filter(({ reachable }) => reachable).map(({ id }) => id);
      return [
        member.id,
        "yes",
        others.join(" ") || "none",
        String(courier.singleCopies),
        String(courier.spoolBytes),
        courier.queries ?? "-",
      ];
    });
  if (couriers.length === 0) return "No server has a courier: understudy puppetdb enable";
  return [
    renderTable(
      ["PUPPETDB", "STATE", "USED BY", "WAITING", "OLDEST", "DEAD LETTERS", "SYNC"],
      puppetdbs,
    ),
    "",
    renderTable(["COURIER", "RUNS", "REACHES", "1 COPY", "BYTES", "QUERIES GO TO"], couriers),
  ].join("\n");
}

const HELP = `
  understudy puppetdb enable --dry-run

What it does: has a PuppetDB that is installed here listen on loopback only, runs the courier on its port 8081,
and has puppetserver send facts, catalogs and reports there, with the next server's courier as the fallback. On a server
without PuppetDB its courier serves the other servers' ones. Interrupted, it is finished by the same command.
While PuppetDB restarts (half a minute and more) its clients are answered only if another one is fit.

Exit code: 0 done, 1 refused or failed.`;
