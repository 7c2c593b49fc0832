// understudy ca crl show|refresh|import: the revocation lists that agents get.

import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { Fault, messageOf } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { CaCrls } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { createOutput } from "./output.ts";

/** A new CRL of 100,000 entries takes a second, and its copies may wait for an election. */
const CHANGE_MS = 60_000;

export function addCaCrl(ca: Command): void {
  const crl = ca.command("crl").description("the revocation lists that agents get");
  const print = (crls: CaCrls, json: boolean | undefined, head = "") => {
    const rows = crls.crls.map((one) => [
      one.issuer,
      one.number,
      one.thisUpdate,
      one.nextUpdate,
      String(one.entries),
    ]);
    const table = renderTable(["ISSUER", "NUMBER", "FROM", "UNTIL", "ENTRIES"], rows);
    createOutput(json === true).result(crls, head + table);
  };
  crl
    .command("show")
    .description("the newest ones: ours first, then those of the CAs above")
    .option("--json", "print JSON")
    .addHelpText("after", "\n  understudy ca crl show\n\nExit code: 0 answered, 1 failed.")
    .action(async ({ json }: { json?: boolean }) =>
      print(await callDaemon("GET", "/v1/ca/crl", { answer: CaCrls }), json),
    );
  crl
    .command("refresh")
    .description("sign a new one now; by itself that happens once a month and at each revocation")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy ca crl refresh\n\nExit code: 0 signed, 1 not: another server was quicker, or it failed.",
    )
    .action(async ({ json }: { json?: boolean }) => {
      const options = { answer: CaCrls, body: {}, withinMs: CHANGE_MS };
      const crls = await callDaemon("POST", "/v1/ca/crl/refresh", options);
      if (crls.signed) return print(crls, json, "A new CRL is signed.\n\n");
      throw new Fault("ca.crl-not-signed", "no new CRL was signed: another server was quicker", {
        hints: ["Or this server's clock is confirmed by nobody: understudy status"],
      });
    });
  crl
    .command("import")
    .argument("<file>", "PEM, as many CRLs as you like")
    .description("take in newer CRLs of the CAs above ours")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy ca crl import root-crl.pem\n\nExit code: 0 taken in, 1 refused or failed: nothing was changed.",
    )
    .action(async (file: string, { json }: { json?: boolean }) => {
      const pem = await readFile(file, "utf8").catch((error: unknown) => {
        throw new Fault("cli.option", `${file} can't be read: ${messageOf(error)}`);
      });
      const options = { answer: CaCrls, body: { pem }, withinMs: CHANGE_MS };
      print(await callDaemon("POST", "/v1/ca/crl/import", options), json);
    });
}
