// understudy backend list|add|remove: further puppetservers on this server, behind the same edges.

import type { Command } from "commander";
import { z } from "zod";
import { renderTable } from "../base/table.ts";
import { leafFiles } from "../cluster/pki-store.ts";
import { Backend } from "../cluster/schema.ts";
import { BackendList } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { check } from "./options.ts";
import { createOutput, type Output } from "./output.ts";

const Port = z.coerce.number().pipe(Backend.shape.port);

export function addBackendCommands(program: Command): void {
  const backend = program.command("backend").description("the puppetservers of this server");
  backend
    .command("list")
    .description("which puppetservers of this server the edges send requests to")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy backend list\n\nExit code: 0 listed, 1 the daemon doesn't answer.",
    )
    .action(async (flags: { json?: boolean }) => {
      const list = await callDaemon("GET", "/v1/backends", { answer: BackendList });
      show(createOutput(flags.json === true), list);
    });
  backend
    .command("add")
    .argument("<name>", "a name of its own on this server, as in second")
    .description("send requests to one more puppetserver that runs on this server")
    .requiredOption("--port <port>", "where it listens")
    .option("--address <address>", "where it listens, if not at this server's address")
    .option("--json", "print JSON")
    .addHelpText("after", renderHelp())
    .action(async (name: string, flags: { port: string; address?: string; json?: boolean }) => {
      const body = {
        name: check(Backend.shape.name, "name", name),
        port: check(Port, "--port", flags.port),
        ...(flags.address === undefined
          ? {}
          : { address: check(Backend.shape.address.unwrap(), "--address", flags.address) }),
      };
      const list = await callDaemon("POST", "/v1/backends", { body, answer: BackendList });
      show(createOutput(flags.json === true), list);
    });
  backend
    .command("remove")
    .argument("<name>", "as in the list")
    .description("send it no more requests; it is neither stopped nor changed")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy backend remove second\n\nExit code: 0 removed, 1 refused or failed.",
    )
    .action(async (name: string, flags: { json?: boolean }) => {
      const path = `/v1/backends/${encodeURIComponent(name)}`;
      const list = await callDaemon("DELETE", path, { answer: BackendList });
      show(createOutput(flags.json === true), list);
    });
}

function show(output: Output, { backends }: z.infer<typeof BackendList>): void {
  const rows = backends.map(({ name, address, port, jrubies, unfit }) => [
    name,
    `${address}:${port}`,
    String(jrubies),
    unfit,
  ]);
  output.result(backends, renderTable(["PUPPETSERVER", "LISTENS AT", "JRUBIES", "WHY NOT"], rows));
}

function renderHelp(): string {
  const { certificate, key, ca, crl } = leafFiles("listener");
  return `
  understudy backend add second --port 8151

Install and start it first, with folders, a service and a port of its own; the commands for Debian 12 are in
/usr/share/doc/understudy/second-puppetserver.md. It must trust the edges
and nobody else, as the first one does. Its webserver.conf:

  webserver: {
      client-auth: need
      ssl-host: 0.0.0.0
      ssl-port: PORT
      ssl-cert: ${certificate}
      ssl-key: ${key}
      ssl-ca-cert: ${ca}
      ssl-crl-path: ${crl}
  }

Its auth.conf needs "allow-header-cert-info: true", its ca.cfg the CA service off, both as in the first one's. Give
the port to the other servers only. The edges look at it every second: understudy status shows what they see. It takes
renewed certificates (once a year) only by a reload, which Understudy does for the first one alone.

Exit code: 0 added, 1 refused or failed.`;
}
