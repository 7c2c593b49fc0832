// understudy token create|list|revoke: who may join.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { parseDuration, renderDuration } from "../base/duration.ts";
import { renderTable } from "../base/table.ts";
import { Role } from "../cluster/schema.ts";
import { CreatedToken, CreateToken, Done, TokenList } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { copyLines } from "./copies.ts";
import { createOutput } from "./output.ts";

export function addToken(program: Command): void {
  const token = program.command("token").description("join tokens: who may come into the cluster");
  token
    .command("create")
    .description("make a token for one further member, and print the command that uses it")
    .option("--role <role>", "server or compiler", "server")
    .option("--expires <duration>", "until when it can be used, as in 30m or 1d", "1h")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy token create\n  understudy token create --role compiler --expires 1d\n\nIt is shown this once, and is used up by one join.\n\nExit code: 0 made, 1 refused or failed.",
    )
    .action(async (options: { role: string; expires: string; json?: boolean }) => {
      const made = await callDaemon("POST", "/v1/tokens", {
        body: readTokenWish(options),
        answer: CreatedToken,
      });
      createOutput(options.json === true).result(made, renderJoinHint(made, options.expires));
    });
  token
    .command("list")
    .description("the tokens there are; their secrets are not kept")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy token list\n\nExit code: 0 listed, 1 the daemon doesn't answer.",
    )
    .action(async (options: { json?: boolean }) => {
      const { tokens } = await callDaemon("GET", "/v1/tokens", { answer: TokenList });
      const rows = tokens.map((each) => [
        each.id,
        each.role,
        each.state,
        each.member ?? "-",
        each.state === "unused" ? `in ${renderDuration(each.leftMs / 1000)}` : "-",
        each.createdBy,
      ]);
      const table = renderTable(["TOKEN", "ROLE", "STATE", "USED BY", "EXPIRES", "MADE AT"], rows);
      createOutput(options.json === true).result(
        tokens,
        tokens.length === 0 ? "No tokens." : table,
      );
    });
  token
    .command("revoke")
    .argument("<id>", "the token's id, as in the list")
    .description("make a token unusable")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy token revoke 3f2a9c0d1e4b\n\nExit code: 0 nobody can use it any more, 1 refused or failed.",
    )
    .action(async (id: string, options: { json?: boolean }) => {
      const path = `/v1/tokens/${encodeURIComponent(id)}`;
      await callDaemon("DELETE", path, { answer: Done });
      createOutput(options.json === true).result({ id, revoked: true }, `Token ${id} is revoked.`);
    });
}

/** What the options ask for. Throws Fault `cli.option`, `base.duration`. */
export function readTokenWish(options: { role: string; expires: string }): CreateToken {
  const role = Role.options.find((each) => each === options.role);
  if (role === undefined) {
    throw new Fault("cli.option", `--role "${options.role}" is no role: server or compiler`);
  }
  const wish = CreateToken.safeParse({ role, validMs: parseDuration(options.expires) * 1000 });
  if (wish.success) return wish.data;
  throw new Fault("cli.option", `--expires "${options.expires}": from one minute to 30 days`);
}

/** The lines that tell how to use a token. */
export function renderJoinHint(made: CreatedToken, within: string): string {
  return [
    `On the next ${made.role}, within ${within}, as root:`,
    "",
    `  understudy join ${made.url}`,
    "",
    "It asks for the token:",
    "",
    `  ${made.token}`,
    ...copyLines(made.copies, "token"),
  ].join("\n");
}
