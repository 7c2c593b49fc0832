// understudy api show|listen|off: the API for people and scripts on the network.

import type { Command } from "commander";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { renderTable } from "../base/table.ts";
import { ApiSettings, IpAddress, Network } from "../cluster/schema.ts";
import { PORTS } from "../host/paths.ts";
import { ApiShown, type ApiWish } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { check } from "./options.ts";
import { createOutput, EXIT, type Output } from "./output.ts";

const Port = z.coerce.number().pipe(z.int().min(1).max(65535));

export interface ApiFlags {
  address?: string;
  port: string;
  cert?: string;
  key?: string;
  metricsFrom: string[];
  health?: string | boolean;
  json?: boolean;
}

export function addApi(program: Command): void {
  const api = program
    .command("api")
    .description("the API on the network, for people, scripts, monitoring: off until it is set");
  api
    .command("show")
    .description("where it is, on every member")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy api show\n\nExit code: 0 shown, 1 the daemon doesn't answer.",
    )
    .action(async (flags: { json?: boolean }) => {
      const shown = await callDaemon("GET", "/v1/api", { answer: ApiShown });
      createOutput(flags.json === true).result(shown, renderApi(shown));
    });
  api
    .command("listen")
    .description("put it on the network, with TLS, on every member; again: as it is said then")
    .option("--address <address>", "where it listens; without it: at every address of a member")
    .option("--port <port>", "the port", String(PORTS.api))
    .option("--cert <file>", "certificate with its chain, PEM, there on every member")
    .option("--key <file>", "its key, PEM, likewise; without both: the member's Puppet certificate")
    .option(
      "--metrics-from <network>",
      "who may read /metrics without a token; repeatable",
      (value: string, all: string[]) => [...all, value],
      [],
    )
    .option("--health [port]", `the health endpoints without TLS besides, at ${PORTS.health}`)
    .option("--json", "print JSON")
    .addHelpText("after", LISTEN_HELP)
    .action(async (flags: ApiFlags) => {
      const body = readApiWish(flags);
      const shown = await callDaemon("POST", "/v1/api", { body, answer: ApiShown });
      report(createOutput(flags.json === true), shown);
    });
  api
    .command("off")
    .description("take it off the network; tokens stay")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy api off\n\nExit code: 0 off, 1 refused or failed, 3 a member hasn't done it yet.",
    )
    .action(async (flags: { json?: boolean }) => {
      report(
        createOutput(flags.json === true),
        await callDaemon("DELETE", "/v1/api", { answer: ApiShown }),
      );
    });
}

/** What the options ask for. Throws Fault `cli.option`. */
export function readApiWish(flags: ApiFlags): ApiWish {
  const { address, cert, key, health } = flags;
  if ((cert === undefined) !== (key === undefined)) {
    throw new Fault("cli.option", "--cert and --key go together");
  }
  const Certificate = ApiSettings.shape.certificate.unwrap();
  const healthPort = health === true ? String(PORTS.health) : health;
  return {
    port: check(Port, "--port", flags.port),
    metricsFrom: flags.metricsFrom.map((each) => check(Network, "--metrics-from", each)),
    ...(address === undefined ? {} : { address: check(IpAddress, "--address", address) }),
    ...(cert === undefined || key === undefined
      ? {}
      : {
          certificate: {
            cert: check(Certificate.shape.cert, "--cert", cert),
            key: check(Certificate.shape.key, "--key", key),
          },
        }),
    ...(typeof healthPort === "string" ? { healthPort: check(Port, "--health", healthPort) } : {}),
  };
}

function report(output: Output, shown: ApiShown): void {
  output.result(shown, renderApi(shown));
  if (shown.members.some(({ because }) => because !== "")) process.exitCode = EXIT.unconfirmed;
}

/** How the API is set, and the table of all members. */
export function renderApi({ settings, members }: ApiShown): string {
  const rows = members.map(({ member, url, because }) => [member, url || "-", because]);
  const table = renderTable(["MEMBER", "LISTENS AT", "WHY NOT"], rows);
  if (settings === undefined) {
    const open = members.some(({ url, because }) => url !== "" || because !== "");
    const off = "The API is not on the network: understudy api listen --help";
    return open ? `${off}\n\n${table}` : off;
  }
  const { certificate, metricsFrom, healthPort } = settings;
  return [
    `Certificate: ${certificate?.cert ?? "each member's Puppet certificate"}`,
    `Metrics: with a token${metricsFrom.length === 0 ? "" : `, and without from ${metricsFrom.join(", ")}`}`,
    `Health without TLS: ${healthPort === undefined ? "no" : `port ${healthPort}`}`,
    "",
    table,
  ].join("\n");
}

const LISTEN_HELP = `
  understudy api listen                                            with each member's Puppet certificate
  understudy api listen --metrics-from 10.0.0.0/24 --health        for Prometheus and load balancers
  understudy api listen --cert /etc/ssl/puppet.pem --key /etc/ssl/private/puppet.key

Files of a certificate must be readable to the daemon: not below /home, /root or /tmp.
What isn't given is as by default, also when something else was set before. Every member takes it
within seconds, none is restarted, and agents notice nothing. Who may use it: understudy access create.
The dashboard is there too: its address in a browser, and a token to sign in with.

Exit code: 0 every member listens, 1 refused or failed, 3 set, but a member doesn't listen: it says why.`;
