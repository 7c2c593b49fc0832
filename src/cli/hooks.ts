// understudy hooks list|test: executables of this server that are run on events.

import type { Command } from "commander";
import { oneLine } from "../base/printable.ts";
import { renderTable } from "../base/table.ts";
import { HookList, HooksTested } from "../setup/alerts-contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { createOutput, testedCode } from "./output.ts";

/** Longer than a hook may run. */
const TEST_MS = 60_000;
const TEXT_MAX = 160;

export function addHooks(program: Command): void {
  const hooks = program
    .command("hooks")
    .description(
      "executables in /etc/understudy/hooks.d: run on events, on the server they are on",
    );
  hooks
    .command("list")
    .description("this server's hooks, and what the last run of each came to")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy hooks list\n\nExit code: 0 listed, 1 the daemon doesn't answer.",
    )
    .action(async (flags: { json?: boolean }) => {
      const list = await callDaemon("GET", "/v1/hooks", { answer: HookList });
      createOutput(flags.json === true).result(list, renderHooks(list));
    });
  hooks
    .command("test")
    .argument("<event>", "as in address-gained")
    .description("run this server's hooks now, with an event that says that it is a test")
    .option("--json", "print JSON")
    .addHelpText("after", TEST_HELP)
    .action(async (event: string, flags: { json?: boolean }) => {
      const tested = await callDaemon("POST", "/v1/hooks/test", {
        body: { event },
        answer: HooksTested,
        withinMs: TEST_MS,
      });
      createOutput(flags.json === true).result(tested, renderTested(tested));
      process.exitCode = testedCode(tested.results);
    });
}

/** The table; what isn't run says why. */
export function renderHooks({ folder, hooks }: HookList): string {
  if (hooks.length === 0)
    return `There are no hooks in ${folder}: see /usr/share/doc/understudy/hooks.md`;
  const rows = hooks.map(({ name, runs, because, waiting, dropped, last }) => {
    if (!runs)
      return [oneLine(name, TEXT_MAX), `isn't run: ${oneLine(because, TEXT_MAX)}`, "-", "-", "-"];
    const at =
      last === undefined ? "not yet" : `${last.at.slice(0, 16).replace("T", " ")} ${last.event}`;
    return [
      name,
      last?.ok === false ? `failed: ${saidOf(last)}` : "runs",
      at,
      String(waiting),
      String(dropped),
    ];
  });
  return renderTable(["HOOK", "STATE", "LAST", "WAITING", "DROPPED"], rows);
}

function renderTested({ results }: HooksTested): string {
  if (results.length === 0)
    return "This server has no hook, nothing was run: understudy hooks list";
  const rows = results.map((each) => [
    each.name,
    each.ok ? `ran in ${each.tookMs} ms` : saidOf(each),
  ]);
  return renderTable(["HOOK", "TEST"], rows);
}

function saidOf({ because, output }: { because: string; output: string }): string {
  return oneLine(output === "" ? because : `${because}; it said: ${output}`, TEXT_MAX);
}

const TEST_HELP = `
  understudy hooks test address-gained

Events and what a hook gets: /usr/share/doc/understudy/hooks.md

Exit code: 0 every hook ran and ended with 0, 1 one didn't, or nothing was run.`;
