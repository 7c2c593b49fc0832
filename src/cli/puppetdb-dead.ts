// understudy puppetdb dead list|show|retry|delete: commands that a PuppetDB refused for good, as
// this server's courier keeps them.

import type { Command } from "commander";
import { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { DEAD_IDS_MAX, DEAD_PATH, type DeadOrder } from "../courier/dead-door.ts";
import { askCourier } from "../setup/courier-client.ts";
import { check } from "./options.ts";
import { createOutput } from "./output.ts";
import { requireRoot } from "./pass-preflight.ts";

const ASK_MS = 60_000;
const Id = z.uuid({ error: "not an id, as in the list" });
const Ids = z.array(Id).max(DEAD_IDS_MAX);

const Letter = z.object({
  id: z.string(),
  puppetdb: z.string(),
  kind: z.string(),
  certname: z.string(),
  takenAt: z.string(),
  producedAt: z.string(),
  bytes: z.int(),
  because: z.string(),
});
type Letter = z.infer<typeof Letter>;
const Letters = z.object({ dead: z.array(Letter) });
const Refused = z.object({
  missing: z.array(z.string()).optional(),
  error: z.string().optional(),
  /** How many it was done with before it failed. */
  done: z.int().optional(),
});

interface Flags {
  json?: boolean;
  all?: boolean;
  body?: boolean;
  puppetdb?: string;
}

export function addPuppetdbDead(puppetdb: Command): void {
  const dead = puppetdb
    .command("dead")
    .description("commands that a PuppetDB refused for good, kept by this server's courier");
  dead
    .command("list")
    .description("which, and why")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy puppetdb dead list\n\nExit code: 0 listed, 1 this server's courier doesn't answer.",
    )
    .action(async (flags: Flags) => {
      const letters = await readLetters();
      createOutput(flags.json === true).result(letters, renderLetters(letters));
    });
  dead
    .command("show")
    .argument("<id>", "as in the list")
    .description("all that is known of one")
    .option("--body", "print what it says, and nothing else")
    .option("--puppetdb <name>", "if two have refused it: the server whose PuppetDB is meant")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy puppetdb dead show --body 0b9e2f4c-6d1a-4e57-9a35-7c1d2e8f4a60\n\nExit code: 0 shown, 1 there is none, or this server's courier doesn't answer.",
    )
    .action(show);
  for (const [act, what] of [
    ["retry", "send them to the PuppetDB that refused them once more"],
    ["delete", "forget them: that PuppetDB will never get them"],
  ] as const) {
    dead
      .command(act)
      .argument("[ids...]", "as in the list")
      .description(what)
      .option("--all", "all of the list")
      .option("--puppetdb <name>", "only those of this server's PuppetDB")
      .option("--json", "print JSON")
      .addHelpText(
        "after",
        `
  understudy puppetdb dead ${act} --all

Exit code: 0 done, 1 refused or failed: done with none, or with as many as it says.`,
      )
      .action(async (ids: string[], flags: Flags) => order(act, ids, flags));
  }
}

async function show(text: string, flags: Flags): Promise<void> {
  const id = check(Id, "id", text);
  const letters = (await readLetters()).filter(
    (each) => each.id === id && (flags.puppetdb ?? each.puppetdb) === each.puppetdb,
  );
  const [letter] = letters;
  if (letter === undefined) throw missing([id]);
  if (flags.body === true) {
    const query = new URLSearchParams({ id, puppetdb: letter.puppetdb });
    const { status, text: body } = await ask(`${DEAD_PATH}/body?${query.toString()}`);
    if (status !== 200) throw missing([id]);
    process.stdout.write(body);
    return;
  }
  createOutput(flags.json === true).result(letters, letters.map(renderLetter).join("\n\n"));
}

async function order(act: DeadOrder["act"], texts: string[], flags: Flags): Promise<void> {
  const ids = check(Ids, "ids", texts);
  if ((ids.length === 0) !== (flags.all === true)) {
    throw new Fault("cli.option", "give either ids of the list, or --all");
  }
  const { puppetdb } = flags;
  const body: DeadOrder = {
    act,
    ids,
    all: flags.all === true,
    ...(puppetdb === undefined ? {} : { puppetdb }),
  };
  const { status, text } = await ask(DEAD_PATH, body);
  if (status !== 200) {
    const refused = Refused.parse(JSON.parse(text));
    if (refused.missing !== undefined) throw missing(refused.missing);
    const { error = text, done = 0 } = refused;
    const what = done === 0 ? "nothing is done" : `it is done with ${done}, not with the rest`;
    throw new Fault("puppetdb.dead-letters", `${what}: ${error}`);
  }
  const { dead } = Letters.parse(JSON.parse(text));
  const many = dead.length === 1 ? "1 command" : `${dead.length} commands`;
  const done = act === "retry" ? `${many}: tried again now` : `${many} deleted`;
  const next = act === "retry" ? "\nWhat is refused again is in the list again." : "";
  createOutput(flags.json === true).result(dead, `${done}.${dead.length === 0 ? "" : next}`);
}

async function readLetters(): Promise<Letter[]> {
  return Letters.parse(JSON.parse((await ask(DEAD_PATH)).text)).dead;
}

async function ask(path: string, body?: DeadOrder): Promise<{ status: number; text: string }> {
  requireRoot();
  try {
    return await askCourier(path, { order: body, withinMs: ASK_MS });
  } catch (error) {
    throw new Fault(
      "puppetdb.no-courier",
      `this server's courier doesn't answer: ${messageOf(error)}`,
      { hints: ["systemctl status understudy-courier", "Is one to run here? understudy status"] },
    );
  }
}

function missing(ids: readonly string[]): Fault {
  return new Fault("puppetdb.dead-letters", `nothing is done: there is no ${ids.join(", ")} here`, {
    hints: ["Each server's courier has a list of its own: understudy puppetdb dead list"],
  });
}

/** The list for people. */
export function renderLetters(letters: readonly Letter[]): string {
  if (letters.length === 0) return "This server's courier has no command that a PuppetDB refused.";
  const rows = letters.map((each) => [
    each.id,
    each.puppetdb,
    each.kind,
    each.certname,
    each.takenAt,
    firstLine(each.because),
  ]);
  return renderTable(["ID", "PUPPETDB", "KIND", "CERTNAME", "TAKEN", "WHY"], rows);
}

function renderLetter(each: Letter): string {
  return [
    `${each.kind} of ${each.certname}, refused by ${each.puppetdb}'s PuppetDB`,
    `  id        ${each.id}`,
    `  produced  ${each.producedAt}`,
    `  taken     ${each.takenAt}`,
    `  bytes     ${each.bytes}`,
    `  why       ${each.because.replaceAll("\n", "\n            ")}`,
    `What it says: understudy puppetdb dead show --body ${each.id}`,
  ].join("\n");
}

function firstLine(text: string): string {
  const [line = ""] = text.split("\n");
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}
