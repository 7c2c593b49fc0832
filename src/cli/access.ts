// understudy access create|list|revoke: who may use the API over the network.

import type { Command } from "commander";
import { parseDuration } from "../base/duration.ts";
import { Fault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { ACCESS_ROLES, AccessName, AccessRole } from "../cluster/access.ts";
import { AccessMade, AccessRevoked, AccessTokens, AccessWish } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { copyLines } from "./copies.ts";
import { check } from "./options.ts";
import { createOutput, EXIT } from "./output.ts";

export function addAccess(program: Command): void {
  const access = program
    .command("access")
    .description("access tokens: who may use the API over the network (understudy api)");
  access
    .command("create")
    .argument("<name>", "whose it is, as in grafana or jane.doe")
    .description("make a token, and print it: it is shown this once and kept nowhere")
    .requiredOption("--role <role>", "viewer, operator or admin")
    .option("--valid <duration>", "how long it is good, as in 12h or 365d", "90d")
    .option("--json", "print JSON")
    .addHelpText("after", CREATE_HELP)
    .action(async (name: string, flags: { role: string; valid: string; json?: boolean }) => {
      const made = await callDaemon("POST", "/v1/access", {
        body: readAccessWish(name, flags),
        answer: AccessMade,
      });
      createOutput(flags.json === true).result(made, renderMade(made));
    });
  access
    .command("list")
    .description("the tokens there are; their secrets are not kept")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy access list\n\nExit code: 0 listed, 1 the daemon doesn't answer.",
    )
    .action(async (flags: { json?: boolean }) => {
      const { tokens } = await callDaemon("GET", "/v1/access", { answer: AccessTokens });
      createOutput(flags.json === true).result({ tokens }, renderAccess(tokens));
    });
  access
    .command("revoke")
    .argument("<name>", "as in the list")
    .description("end a token, on every member")
    .option("--json", "print JSON")
    .addHelpText("after", REVOKE_HELP)
    .action(async (name: string, flags: { json?: boolean }) => {
      const path = `/v1/access/${encodeURIComponent(name)}`;
      const revoked = await callDaemon("DELETE", path, { answer: AccessRevoked });
      createOutput(flags.json === true).result(revoked, renderRevoked(revoked));
      if (revoked.missing.length > 0) process.exitCode = EXIT.unconfirmed;
    });
}

/** What the command asks for. Throws Fault `cli.option`, `base.duration`. */
export function readAccessWish(name: string, flags: { role: string; valid: string }): AccessWish {
  check(AccessName, "name", name);
  const role = AccessRole.safeParse(flags.role).data;
  if (role === undefined) {
    throw new Fault("cli.option", `--role "${flags.role}" is none of ${ACCESS_ROLES.join(", ")}`);
  }
  const wish = AccessWish.safeParse({ name, role, validMs: parseDuration(flags.valid) * 1000 });
  if (wish.success) return wish.data;
  throw new Fault("cli.option", `--valid "${flags.valid}": from one minute to 730 days`);
}

function renderMade(made: AccessMade): string {
  return [
    `${made.name} is ${made.role} until ${made.expiresAt.slice(0, 16).replace("T", " ")} UTC:`,
    "",
    `  ${made.token}`,
    "",
    "It is shown this once. Where the API is: understudy api show",
    ...copyLines(made.copies, "token"),
  ].join("\n");
}

/** The table of all tokens. */
export function renderAccess(tokens: AccessTokens["tokens"]): string {
  if (tokens.length === 0) return "No tokens: understudy access create --help";
  const rows = tokens.map((each) => [
    each.name,
    each.role,
    each.expired ? "expired" : each.expiresAt.slice(0, 10),
    each.usedAt === undefined ? "-" : `${each.usedAt.slice(0, 13).replace("T", " ")}h`,
    `${each.createdBy}, ${each.createdAt.slice(0, 10)}`,
  ]);
  return renderTable(["TOKEN", "ROLE", "ENDS", "LAST USED", "MADE AT"], rows);
}

/** What became of a revocation, and what is left to do. */
export function renderRevoked({ name, missing }: AccessRevoked): string {
  if (missing.length === 0) return `Token ${name} is revoked: every member refuses it.`;
  return [
    `Token ${name} is revoked. Members that haven't confirmed it, and may still let it in:`,
    ...missing.map(({ member, because }) => `  ${member}: ${because}`),
    "They refuse it as soon as they reach the record.",
  ].join("\n");
}

const CREATE_HELP = `
  viewer    reads everything
  operator  besides: signs requests, and does what agents don't notice
  admin     besides: revokes, and changes settings that are offered

  understudy access create grafana --role viewer --valid 365d

It goes in a header: Authorization: Bearer TOKEN. What each role may: /usr/share/doc/understudy/api.md

Exit code: 0 made, 1 refused or failed.`;

const REVOKE_HELP = `
  understudy access revoke grafana

Exit code: 0 every member refuses it, 1 refused or failed, 3 revoked, but a member couldn't be asked.`;
